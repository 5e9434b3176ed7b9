"""The body that makes a container again, from cut-down ``inspect`` JSON; compose/test_restore.py has the real thing."""

from __future__ import annotations

from jenkins_proxy.orchestrator.snapshot import creation, owners_first

ID = "5d3272c778f2" + "0" * 52


def definition(config=None, host=None, networks=None, mounts=()):
    return {
        "Id": ID,
        "Image": "sha256:76",
        "Name": "/books-ms_app_1",
        "Config": {"Image": "books-ms:1", "Hostname": ID[:12], **(config or {})},
        "HostConfig": {"NetworkMode": "front", **(host or {})},
        "NetworkSettings": {"Networks": networks or {}},
        "Mounts": list(mounts),
    }


def test_settings_are_kept_and_the_engines_own_host_name_is_not():
    body, _ = creation(definition({"Env": ["A=1"], "Labels": {"com.docker.compose.config-hash": "3d"}}))
    assert body["Env"] == ["A=1"]
    assert body["Labels"] == {"com.docker.compose.config-hash": "3d"}
    assert "Hostname" not in body
    assert creation(definition({"Hostname": "books"}))[0]["Hostname"] == "books"


def test_networks_after_the_first_are_connected_one_by_one():
    networks = {
        "back": {"Aliases": [ID[:12], "app"], "IPAMConfig": {"IPv4Address": "10.1.1.1"}, "IPAddress": "10.1.1.1"},
        "front": {"Aliases": ["app", ID[:12]], "Links": None, "IPAMConfig": None},
    }
    body, more = creation(definition(networks=networks))
    front = {"Aliases": ["app"], "Links": None, "IPAMConfig": None}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"front": front}}
    assert more == {"back": {"Aliases": ["app"], "Links": None, "IPAMConfig": {"IPv4Address": "10.1.1.1"}}}


def test_the_default_bridge_takes_no_aliases():
    body, more = creation(definition(host={"NetworkMode": "default"}, networks={"bridge": {"Aliases": None}}))
    assert "NetworkingConfig" not in body
    assert more == {}


def test_links_turn_round():
    assert creation(definition(host={"Links": ["/db_1:/app_1/db"]}))[0]["HostConfig"]["Links"] == ["db_1:db"]


def test_anonymous_volumes_keep_their_content():
    mounts = [
        {"Type": "volume", "Name": "c0ffee", "Destination": "/data"},
        {"Type": "volume", "Name": "decaf", "Destination": "/cache"},
        {"Type": "volume", "Name": "books_db", "Destination": "/db"},
        {"Type": "volume", "Name": "books_log", "Destination": "/log"},
        {"Type": "bind", "Source": "/etc", "Destination": "/etc"},
    ]
    named = {"Type": "volume", "Source": "books_log", "Target": "/log"}
    host = {"Binds": ["books_db:/db:rw", "/etc:/etc:ro"], "Mounts": [{"Type": "volume", "Target": "/cache"}, named]}
    made = creation(definition(host=host, mounts=mounts))[0]["HostConfig"]
    assert made["Binds"] == ["books_db:/db:rw", "/etc:/etc:ro", "c0ffee:/data", "decaf:/cache"]
    assert made["Mounts"] == [named]


def test_what_lives_in_anothers_network_goes_into_that_of_its_successor():
    """The engine prints the other one's name and ports for it, and refuses them."""
    config = {"Hostname": "books", "ExposedPorts": {"8080/tcp": {}}, "Domainname": ""}
    host = {"NetworkMode": f"container:{ID}", "PidMode": "container:elsewhere", "IpcMode": "private"}

    body, more = creation(definition(config, host), {ID: "successor"})

    assert not {"Hostname", "ExposedPorts", "Domainname"} & set(body)
    assert "NetworkingConfig" not in body and more == {}
    kept = {key: body["HostConfig"][key] for key in host}
    assert kept == {"NetworkMode": "container:successor", "PidMode": "container:elsewhere", "IpcMode": "private"}


def test_whose_network_it_is_comes_first():
    def one(name: str, network: str = "front", pid: str = ""):
        return {"Id": name, "HostConfig": {"NetworkMode": network, "PidMode": pid}}

    deepest = one("deepest", "container:app")
    given = [deepest, one("db"), one("app", pid="container:vpn"), one("vpn"), one("other", "container:gone")]

    assert [d["Id"] for d in owners_first(given)] == ["vpn", "app", "deepest", "db", "other"]

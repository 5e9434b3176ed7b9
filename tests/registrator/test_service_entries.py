"""Names, IDs, tags and checks as gliderlabs/registrator gives them: its own test rows, and its source row by row."""

from __future__ import annotations

import pytest

from jenkins_proxy.registrator import service_entries
from jenkins_proxy.registrator.service_entries import HOST_META, Choice, ServiceEntry

ID = "0123456789abcdef" * 4


def container(
    *,
    ports=None,
    exposed=(),
    env=(),
    labels=None,
    image="vfarcic/books-ms:1.2",
    name="/booksms_app_1",
    mode="booksms_default",
    health="",
):
    """What the engine says of a container: ``ports`` is ``{"8080/tcp": ["0.0.0.0:32768"]}``."""
    bindings = {
        port: published and [dict(zip(("HostIp", "HostPort"), binding.rsplit(":", 1))) for binding in published]
        for port, published in (ports or {}).items()
    }
    return {
        "Id": ID,
        "Name": name,
        "State": {"Running": True, "StartedAt": "2026", **({"Health": {"Status": health}} if health else {})},
        "Config": {
            "Image": image,
            "Env": list(env),
            "Labels": labels or {},
            "ExposedPorts": dict.fromkeys(exposed, {}),
        },
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Ports": bindings, "Networks": {mode: {"IPAddress": "172.18.0.5"}}},
    }


def entries(given, **options):
    return service_entries.entries(given, **{"hostname": "node-1", "ip": "", "host_ip": "10.100.192.202", **options})


ONE = {"8080/tcp": ["0.0.0.0:32768"]}
TWO = {"8080/tcp": ["0.0.0.0:32768"], "9090/tcp": ["0.0.0.0:32769"]}


def test_an_article_container():
    assert entries(container(ports=ONE)) == [
        ServiceEntry("node-1:booksms_app_1:8080", "books-ms", "10.100.192.202", 32768)
    ]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("vfarcic/books-ms:1.2", "books-ms"),
        ("books-ms", "books-ms"),
        ("10.100.198.200:5000/books-ms:latest", "books-ms"),
        ("10.100.198.200:5000/books-ms", "books-ms"),
        ("a/b/c:d", "c"),
        ("x@sha256:abcd", "x@sha256"),
        ("sha256:0a1b2c", "sha256"),
        ("a/b/", "b"),
        ("", "."),
    ],
)
def test_names_from_images(image, name):
    assert [entry.name for entry in entries(container(ports=ONE, image=image))] == [name]


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ((), ["books-ms-8080", "books-ms-9090"]),
        (("SERVICE_NAME=a",), ["a-8080", "a-9090"]),
        (("SERVICE_NAME=",), ["books-ms-8080", "books-ms-9090"]),
        (("SERVICE_8080_NAME=a",), ["a", "books-ms-9090"]),
        (("SERVICE_NAME=a", "SERVICE_8080_NAME=b"), ["b", "a-9090"]),
        (("SERVICE_8080_NAME=b", "SERVICE_NAME=a"), ["b", "a-9090"]),
        (("SERVICE_8080_NAME=",), ["books-ms", "books-ms-9090"]),
        (("SERVICE_9090_IGNORE=yes",), ["books-ms-8080"]),
        (("SERVICE_IGNORE=false",), []),
        (("SERVICE_IGNORE=",), ["books-ms-8080", "books-ms-9090"]),
        (("service_name=a", "XSERVICE_NAME=b", "SERVICE_NAME"), ["books-ms-8080", "books-ms-9090"]),
        (("SERVICE_Name=a",), ["a-8080", "a-9090"]),
    ],
)
def test_names_of_two_ports(env, names):
    assert [entry.name for entry in entries(container(ports=TWO, env=env))] == names


@pytest.mark.parametrize(
    ("key", "meta"),
    [
        ("8080_TEAM", {"team": "x"}),
        ("9090_TEAM", {}),
        ("08080_TEAM", {}),
        ("+8080_TEAM", {}),
        ("9223372036854775807_TEAM", {}),
        ("9223372036854775808_TEAM", {"9223372036854775808_team": "x"}),
        ("9" * 5000 + "_T", {"9" * 5000 + "_t": "x"}),
        ("0" * 5000 + "1_T", {}),
        ("8080", {"8080": "x"}),
        ("0X10_TEAM", {"0x10_team": "x"}),
    ],
)
def test_what_begins_with_a_number_is_for_a_port(key, meta):
    [entry] = entries(container(ports=ONE, env=[f"SERVICE_{key}=x"]))
    assert entry.meta == meta


def test_labels_win_over_the_environment():
    given = container(ports=ONE, env=["SERVICE_NAME=env", "SERVICE_REGION=eu"], labels={"SERVICE_NAME": "label"})
    assert [(entry.name, entry.meta) for entry in entries(given)] == [("label", {"region": "eu"})]


@pytest.mark.parametrize(
    ("ports", "exposed", "ids"),
    [
        ({"8080/tcp": None}, ["8080/tcp"], []),
        ({"8080/tcp": []}, ["8080/tcp"], []),
        ({}, [], []),
        ({}, ["8080/tcp"], []),
        ({"5432/tcp": None}, ["5432"], []),
        ({"5432/tcp": ["0.0.0.0:32768"]}, ["5432", "8080/tcp"], ["node-1:booksms_app_1:5432"]),
        ({"0/tcp": None}, ["3000-3002"], []),
        ({"53/udp": ["0.0.0.0:53"]}, [], ["node-1:booksms_app_1:53:udp"]),
        (
            {"53/udp": ["0.0.0.0:53"], "53/tcp": ["0.0.0.0:53"]},
            [],
            ["node-1:booksms_app_1:53", "node-1:booksms_app_1:53:udp"],
        ),
        (
            {"8080/tcp": ["0.0.0.0:32768", ":::32768"], "9090/tcp": None},
            ["8080/tcp", "9090/tcp"],
            ["node-1:booksms_app_1:8080"],
        ),
    ],
)
def test_ids_of_published_ports(ports, exposed, ids):
    assert [entry.id for entry in entries(container(ports=ports, exposed=exposed))] == ids


def test_the_hosts_network_has_the_exposed_port():
    [entry] = entries(container(exposed=["8080/tcp"], mode="host"))
    assert (entry.address, entry.port) == ("10.100.192.202", 8080)


def test_on_the_hosts_network_a_port_is_one_however_it_is_written():
    found = entries(container(exposed=["5432", "5432/tcp", "3000-3001"], mode="host"))
    assert [entry.port for entry in found] == [3000, 3001, 5432]


def test_in_another_containers_network_it_has_no_address_of_its_own():
    assert entries(container(exposed=["8080/tcp"], mode="container:abc")) == []
    [entry] = entries(container(exposed=["8080/tcp"], mode="container:abc"), network_ip="172.17.0.9")
    assert (entry.address, entry.port) == ("172.17.0.9", 8080)


@pytest.mark.parametrize(
    ("binding", "options", "address"),
    [
        ("0.0.0.0:32768", {}, "10.100.192.202"),
        (":32768", {}, "10.100.192.202"),
        (":::32768", {}, "10.100.192.202"),
        ("0.0.0.0:32768", {"host_ip": "127.0.0.1"}, "127.0.0.1"),
        (":::32768", {"host_ip": "127.0.0.1"}, "::1"),
        ("::1:32768", {"host_ip": "127.0.0.1"}, "::1"),
        ("192.168.1.5:32768", {"host_ip": "127.0.0.1"}, "192.168.1.5"),
        ("192.168.1.5:32768", {}, "192.168.1.5"),
        ("192.168.1.5:32768", {"ip": "127.0.0.1"}, "127.0.0.1"),
        ("0.0.0.0:32768", {"ip": "127.0.0.1"}, "127.0.0.1"),
        ("0.0.0.0:32768", {"ip": "127.0.0.1", "network_ip": "172.17.0.9"}, "172.17.0.9"),
    ],
)
def test_addresses(binding, options, address):
    assert [entry.address for entry in entries(container(ports={"8080/tcp": [binding]}), **options)] == [address]


# The rows of bridge/util_test.go and bridge/types_test.go, and what the code does beside them.
@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        ("foobar", ("foobar",)),
        ("foobar,baz", ("baz", "foobar")),
        ("foo,bar,baz", ("baz", "bar", "foo")),
        ("/(;\\,:-_)/", ("/(;,:-_)/",)),
        ("foo\\,bar,baz", ("baz", "foo,bar")),
        (",a,,b,", ("b", "a")),
        ("a\\,,b", ("b", "a,")),
    ],
)
def test_tags(text, tags):
    assert [entry.tags for entry in entries(container(ports=ONE, env=[f"SERVICE_TAGS={text}"]))] == [tags]


@pytest.mark.parametrize(
    ("env", "tags"),
    [
        ((), ("y", "x")),
        (("SERVICE_TAGS=a,b",), ("b", "a", "y", "x")),
        (("SERVICE_8080_TAGS=a",), ("a", "y", "x")),
    ],
)
def test_tags_of_all_entries_stand_behind_their_own(env, tags):
    [entry] = entries(container(ports=ONE, env=env), choice=Choice(tags="x,y"))
    assert entry.tags == tags


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ((), []),
        (("SERVICE_TAGS=a", "SERVICE_NAME="), []),
        (("SERVICE_NAME=a",), ["a-8080", "a-9090"]),
        (("SERVICE_9090_NAME=a",), ["a"]),
    ],
)
def test_of_explicit_containers_only_what_is_named_has_an_entry(env, names):
    found = entries(container(ports=TWO, env=env), choice=Choice(named_only=True))
    assert [entry.name for entry in found] == names


def test_udp_is_a_tag():
    [entry] = entries(container(ports={"53/udp": ["0.0.0.0:53"]}, env=["SERVICE_TAGS=a,b"]))
    assert entry.tags == ("b", "a", "udp")


def test_an_id_of_its_own_names_its_host_in_the_meta_data():
    [entry] = entries(container(ports=ONE, env=["SERVICE_ID=mine", "SERVICE_TEAM=x"]))
    assert (entry.id, entry.meta) == ("mine", {"team": "x", HOST_META: "node-1"})


HTTP = {"HTTP": "http://10.100.192.202:32768/health", "Interval": "10s"}


@pytest.mark.parametrize(
    ("env", "check"),
    [
        ({}, None),
        ({"INTERVAL": "5s", "TIMEOUT": "1s"}, None),
        ({"HTTP": ""}, None),
        ({"HTTP": "/health"}, HTTP),
        ({"HTTP": "/health", "TCP": "true", "TTL": "5s"}, HTTP),
        (
            {
                "HTTP": "/health",
                "INTERVAL": "15s",
                "TIMEOUT": "1s",
                "HTTP_METHOD": "HEAD",
                "INITIAL_STATUS": "passing",
                "DEREGISTER_AFTER": "10m",
            },
            {
                **HTTP,
                "Interval": "15s",
                "Timeout": "1s",
                "Method": "HEAD",
                "Status": "passing",
                "DeregisterCriticalServiceAfter": "10m",
            },
        ),
        (
            {"HTTPS": "/h", "HTTPS_METHOD": "PUT"},
            {"HTTP": "https://10.100.192.202:32768/h", "Interval": "10s", "Method": "PUT"},
        ),
        (
            {"CMD": "/check.sh a b", "TIMEOUT": "1s"},
            {"Args": ["check-cmd", "0123456789ab", "8080", "/check.sh a b"], "Interval": "10s"},
        ),
        ({"SCRIPT": "curl $SERVICE_IP:$SERVICE_PORT"}, {"Args": ["curl 10.100.192.202:32768"], "Interval": "10s"}),
        ({"TTL": "30s", "INTERVAL": "5s"}, {"TTL": "30s"}),
        ({"TCP": "true"}, {"TCP": "10.100.192.202:32768", "Interval": "10s"}),
        (
            {"GRPC": "true", "GRPC_USE_TLS": "1"},
            {"GRPC": "10.100.192.202:32768", "GRPCUseTLS": True, "Interval": "10s"},
        ),
        (
            {"GRPC": "true", "GRPC_USE_TLS": "1", "TLS_SKIP_VERIFY": "1"},
            {"GRPC": "10.100.192.202:32768", "GRPCUseTLS": True, "TLSSkipVerify": True, "Interval": "10s"},
        ),
    ],
)
def test_checks(env, check):
    given = container(ports=ONE, env=[f"SERVICE_CHECK_{key}={value}" for key, value in env.items()])
    assert [entry.check for entry in entries(given)] == [check]


def test_the_keys_of_a_check_are_meta_data_too():
    [entry] = entries(container(ports=ONE, env=["SERVICE_8080_CHECK_TCP=true"]))
    assert entry.meta == {"check_tcp": "true"}


@pytest.mark.parametrize(
    ("health", "status"),
    [("healthy", "passing"), ("unhealthy", "critical"), ("starting", "critical"), ("none", ""), ("", "")],
)
def test_a_healthcheck_is_a_check(health, status):
    [entry] = entries(container(ports=ONE, health=health))
    assert entry.health == status
    assert entry.as_service().get("Check") == (
        {"Name": "HEALTHCHECK of booksms_app_1", "TTL": "86400s", "Status": status} if status else None
    )


def test_a_check_that_is_asked_for_takes_the_healthchecks_place():
    [entry] = entries(container(ports=ONE, health="starting", env=["SERVICE_CHECK_TCP=true"]))
    assert (entry.health, entry.check["TCP"]) == ("", "10.100.192.202:32768")


def row(**changes):
    return {
        "ID": "node-1:a_1:80",
        "Service": "a",
        "Address": "10.0.0.1",
        "Port": 1,
        "Tags": ["t"],
        "Meta": {},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"Service": "b"}, False),
        ({"Address": "10.0.0.2"}, False),
        ({"Port": 2}, False),
        ({"Tags": []}, False),
        ({"Tags": None}, False),
        ({"Meta": {"k": "v"}}, False),
        ({"Meta": None}, True),
    ],
)
def test_the_same_as_a_registered_row(changes, same):
    assert ServiceEntry("node-1:a_1:80", "a", "10.0.0.1", 1, ("t",)).same_as(row(**changes)) is same


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"ID": "node-1:a_1:53:udp"}, True),
        ({"ID": "node-2:a_1:80"}, False),
        ({"ID": "node-10:a_1:80"}, False),
        ({"ID": "node-1:a_1:80:tcp"}, False),
        ({"ID": "node-1:a_1"}, False),
        ({"ID": "web"}, False),
        ({"ID": "x:node-1:a_1:80"}, False),
        ({"ID": "web", "Meta": {HOST_META: "node-1"}}, True),
        ({"ID": "web", "Meta": {HOST_META: "node-2"}}, False),
        ({"Meta": None}, True),
    ],
)
def test_which_rows_are_this_hosts(changes, ours):
    assert service_entries.ours(row(**changes), "node-1") is ours

"""What every registry must do for us, run against a real Consul and against the embedded one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.consul.models import passing
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import CRITICAL, PASSING, WARNING, Address

NOBODY = "11111111-1111-1111-1111-111111111111"


def entry(name: str, number: int = 1, **more) -> dict:
    return {"ID": f"{name}:{number}", "Name": name, "Address": "10.0.0.1", "Port": 32000 + number, **more}


@pytest.fixture(scope="module", autouse=True)
def abandoned(consul_url, embedded_url):
    """In each registry a session with a lock that nobody renews, made before the other tests: it takes 20 s to end."""
    made = {}
    for url in (consul_url, embedded_url):
        with Consul(url) as client:
            session, key = client.session_create("r-abandoned", 10), f"r-{uuid.uuid4().hex[:8]}"
            assert client.kv_put(key, b"1", acquire=session)
            made[url] = session, key
    return made


# Services and their health.


def test_a_registered_service_is_an_instance(consul, name):
    consul.register(entry(name, Tags=["t"], Meta={"k": "v"}))
    [instance], _ = consul.instances(name)
    assert (instance.service, instance.id, instance.address) == (name, f"{name}:1", Address("10.0.0.1", 32001))
    assert (instance.status, instance.checked, instance.tags, instance.meta) == (PASSING, False, ("t",), {"k": "v"})
    assert consul.services()[name] == ["t"]


def test_instances_are_sorted_by_address(consul, name):
    for number in (3, 1, 2):
        consul.register(entry(name, number))
    assert [instance.address.port for instance in consul.instances(name)[0]] == [32001, 32002, 32003]


def test_an_entry_without_an_address_has_its_nodes(consul, name):
    consul.register(entry(name, Address=""))
    [instance], _ = consul.instances(name)
    assert instance.address.host == "127.0.0.1"


def test_a_deregistered_service_is_gone(consul, name):
    consul.register(entry(name))
    consul.deregister(f"{name}:1")
    assert consul.instances(name)[0] == []
    assert name not in consul.services()
    consul.deregister(f"{name}:1")


def test_the_status_is_the_worst_check(consul, aconsul_call, name):
    consul.register(
        entry(
            name,
            Checks=[
                {"CheckID": f"{name}-a", "TTL": "10m", "Status": "passing"},
                {"CheckID": f"{name}-b", "TTL": "10m"},
            ],
        )
    )

    def status():
        [instance], _ = consul.instances(name)
        assert instance.checked
        return instance.status

    assert status() == CRITICAL
    aconsul_call("update_check", f"{name}-b", WARNING, "slow")
    assert status() == WARNING
    assert passing(consul.instances(name)[0]) == []
    assert consul.instances(name)[0][0].output == "slow"
    aconsul_call("update_check", f"{name}-b", PASSING)
    assert status() == PASSING
    assert len(passing(consul.instances(name)[0])) == 1


def test_maintenance_is_critical_and_says_why(consul, url, name):
    consul.register(entry(name))
    requests.put(f"{url}/v1/agent/service/maintenance/{name}:1?enable=true&reason=disk").raise_for_status()
    [instance], _ = consul.instances(name)
    assert (instance.status, instance.checked, instance.output) == (CRITICAL, False, "disk")
    requests.put(f"{url}/v1/agent/service/maintenance/{name}:1?enable=false").raise_for_status()
    assert consul.instances(name)[0][0].status == PASSING


def test_registering_again_keeps_a_checks_status(consul, aconsul_call, name):
    check = {"TTL": "10m", "CheckID": name}
    consul.register(entry(name, Check=check))
    aconsul_call("update_check", name, PASSING)
    consul.register(entry(name, Port=1, Check=check))
    [instance], _ = consul.instances(name)
    assert (instance.status, instance.address.port) == (PASSING, 1)


def test_registering_without_its_check_takes_it_away(consul, name):
    consul.register(entry(name, Check={"TTL": "10m"}))
    consul.register(entry(name))
    assert not consul.instances(name)[0][0].checked


@pytest.fixture
def web_server():
    """``web_server.status`` is what it answers with."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_checks_run(consul, name, web_server, wait_for):
    url = f"http://127.0.0.1:{web_server.server_port}/"
    consul.register(entry(name, Check={"HTTP": url, "Interval": "100ms", "Timeout": "1s"}))

    def becomes(status):
        wait_for(lambda: consul.instances(name)[0][0].status == status, f"{name} {status}")

    becomes(PASSING)
    web_server.status = 429
    becomes(WARNING)
    web_server.status = 500
    becomes(CRITICAL)
    assert "500 Internal Server Error" in consul.instances(name)[0][0].output


def test_tcp_checks_run(consul, name, web_server, free_port, wait_for, aconsul_call):
    consul.register(entry(name, 1, Check={"TCP": f"127.0.0.1:{web_server.server_port}", "Interval": "100ms"}))
    consul.register(entry(name, 2, Check={"TCP": f"127.0.0.1:{free_port()}", "Interval": "100ms"}))

    def output(number: int) -> str:
        # The catalog of Consul hears of a new text alone only after minutes; its agent knows it at once.
        return aconsul_call("agent_checks")[f"service:{name}:{number}"]["Output"]

    wait_for(lambda: output(1) and output(2))
    assert [instance.status for instance in consul.instances(name)[0]] == [PASSING, CRITICAL]
    assert "Success" in output(1)
    assert "connection refused" in output(2)


def test_a_ttl_check_nobody_reports_becomes_critical(consul, name, wait_for):
    consul.register(entry(name, Check={"TTL": "1s", "Status": "passing"}))
    assert consul.instances(name)[0][0].status == PASSING
    found = wait_for(lambda: [found for found in consul.instances(name)[0] if found.status == CRITICAL])
    assert found[0].output.startswith("TTL expired")


# Blocking queries.


async def test_a_blocking_query_waits_for_its_service_only(aconsul, name):
    await aconsul.register(entry(name))
    found, index = await aconsul.instances(name)
    asked = asyncio.ensure_future(aconsul.instances(name, index=index, wait=30))
    _, index_of_other = await aconsul.instances(f"{name}-other")
    other = asyncio.ensure_future(aconsul.instances(f"{name}-other", index=index_of_other, wait=0.5))
    await aconsul.register(entry(name, 2))
    changed, later = await asked
    assert len(changed) == 2
    assert later > index
    assert await other == ([], index_of_other)


async def test_a_blocking_query_ends_with_its_wait(aconsul, name):
    await aconsul.register(entry(name))
    found, index = await aconsul.instances(name)
    assert await aconsul.instances(name, index=index, wait=0.05) == (found, index)


async def test_health_changes_wake_a_query(aconsul, name):
    await aconsul.register(entry(name, Check={"TTL": "10m", "CheckID": name}))
    _, index = await aconsul.instances(name)
    asked = asyncio.ensure_future(aconsul.instances(name, index=index, wait=30))
    await aconsul.update_check(name, PASSING)
    assert (await asked)[0][0].status == PASSING


async def test_the_last_deregistration_wakes_a_query_and_raises_the_index(aconsul, name):
    await aconsul.register(entry(name))
    _, index = await aconsul.instances(name)
    asked = asyncio.ensure_future(aconsul.instances(name, index=index, wait=30))
    await aconsul.deregister(f"{name}:1")
    found, later = await asked
    assert found == []
    assert later > index
    asked = asyncio.ensure_future(aconsul.instances(name, index=later, wait=30))
    await aconsul.register(entry(name))
    assert len((await asked)[0]) == 1


async def test_the_lists_that_wake_a_sweep(aconsul, url, name):
    _, services = await aconsul.watch_services()
    _, state = await aconsul.health_state()
    asked = [
        asyncio.ensure_future(call)
        for call in (aconsul.watch_services(index=services, wait=30), aconsul.health_state(index=state, wait=30))
    ]
    await aconsul.register(entry(name, Check={"TTL": "10m", "CheckID": name}))
    (names, _), (checks, _) = await asyncio.gather(*asked)
    assert name in names
    assert [check.service for check in checks if check.id == name] == [name]


async def test_a_sweep_tells_which_service_changed(aconsul, name):
    services = [f"{name}-{number}" for number in range(5)]
    for number, one in enumerate(services):
        await aconsul.register(
            {
                **entry(one),
                "ID": one,
                "Port": 32001 + number,
                "Check": {"TTL": "10m", "CheckID": one, "Status": "passing"},
            }
        )
    before = {one: (await aconsul.instances(one))[1] for one in services}
    same, after = {}, {}
    await aconsul.service_indexes(services, same.__setitem__)
    assert same == before

    await aconsul.deregister(services[3])
    await aconsul.update_check(services[1], "critical", "gone")

    await aconsul.service_indexes(services, after.__setitem__)
    assert [one for one in services if after[one] != before[one]] == [services[1], services[3]]
    assert after == {one: (await aconsul.instances(one))[1] for one in services}


async def test_a_node_tells_which_of_its_services_changed(aconsul, name):
    await aconsul.register(entry(name))
    [instance], _ = await aconsul.instances(name)
    names, _ = await aconsul.nodes()
    assert instance.node in names
    before, index = await aconsul.node(instance.node)
    asked = asyncio.ensure_future(aconsul.node(instance.node, index=index, wait=30))
    await aconsul.register({**entry(name), "Port": 32099})
    after, _ = await asked
    assert {service for service, _ in before.items() ^ after.items()} == {name}
    assert await aconsul.node(f"{name}-none") == ({}, 1)


async def test_an_index_from_the_future_begins_anew(aconsul, name):
    # What a client sees that outlived its registry.
    await aconsul.register(entry(name))
    _, index = await aconsul.instances(name)
    found, following = await aconsul.instances(name, index=index + 1_000_000, wait=0.05)
    assert len(found) == 1
    assert index <= following < index + 1_000_000


async def test_the_index_is_never_zero(aconsul, name):
    assert (await aconsul.instances(f"{name}-never"))[1] > 0
    assert (await aconsul.kv_watch(f"{name}-never"))[1] > 0


# Keys.


def test_keys(consul, name):
    assert consul.kv_get(name) is None
    assert consul.kv_list(name) == []
    for key, value in ((f"{name}/b", b"\x00\xff"), (f"{name}/a c?&/ü", b"")):
        assert consul.kv_put(key, value)
        assert consul.kv_get(key).value == value
    assert [pair.key for pair in consul.kv_list(f"{name}/")] == [f"{name}/a c?&/ü", f"{name}/b"]
    assert consul.kv_delete(f"{name}/b")
    assert consul.kv_delete(f"{name}/b")
    assert len(consul.kv_list(name)) == 1
    assert consul.kv_delete(name, recurse=True)
    assert consul.kv_list(name) == []


def test_check_and_set(consul, name):
    assert consul.kv_put(name, b"1", cas=0)
    assert not consul.kv_put(name, b"2", cas=0)
    index = consul.kv_get(name).modify_index
    assert consul.kv_put(name, b"2", cas=index)
    assert not consul.kv_put(name, b"3", cas=index)
    assert not consul.kv_delete(name, cas=index)
    assert consul.kv_delete(name, cas=consul.kv_get(name).modify_index)
    assert consul.kv_get(name) is None


def test_a_value_may_have_512_kib(consul, name):
    assert consul.kv_put(name, b"x" * 512 * 1024)
    with pytest.raises(RegistryError, match="too large, max size: 524288 bytes"):
        consul.kv_put(name, b"x" * (512 * 1024 + 1))


async def test_keys_below_a_prefix_wake_a_query(aconsul, name):
    await aconsul.kv_put(f"{name}/a", b"1")
    pairs, index = await aconsul.kv_watch(f"{name}/")
    for change in (aconsul.kv_put(f"{name}/b", b""), aconsul.kv_put(f"{name}/a", b"2"), aconsul.kv_delete(f"{name}/a")):
        asked = asyncio.ensure_future(aconsul.kv_watch(f"{name}/", index=index, wait=30))
        await change
        seen, later = await asked
        assert later > index
        assert seen != pairs
        pairs, index = seen, later
    assert [pair.key for pair in pairs] == [f"{name}/b"]


async def test_deleting_the_last_key_wakes_a_query(aconsul, name):
    await aconsul.kv_put(f"{name}/a", b"1")
    _, index = await aconsul.kv_watch(f"{name}/")
    asked = asyncio.ensure_future(aconsul.kv_watch(f"{name}/", index=index, wait=30))
    await aconsul.kv_delete(f"{name}/", recurse=True)
    pairs, later = await asked
    assert pairs == []
    assert later > index


# Sessions and locks.


def test_a_lock_is_held_by_one_session(consul, name):
    one, two = (consul.session_create(name, 10) for _ in range(2))
    assert consul.kv_put(name, b"1", acquire=one)
    assert consul.kv_put(name, b"1", acquire=one)
    assert not consul.kv_put(name, b"2", acquire=two)
    assert consul.kv_get(name).session == one
    assert not consul.kv_put(name, b"2", release=two)
    assert consul.kv_put(name, b"1", release=one)
    assert consul.kv_put(name, b"2", acquire=two)
    consul.session_destroy(one)
    consul.session_destroy(two)


def test_the_end_of_a_session_deletes_or_releases(consul, name):
    for behavior, left in (("delete", None), ("release", b"1")):
        session = consul.session_create(name, 10, behavior=behavior)
        assert consul.kv_put(name, b"1", acquire=session)
        consul.session_destroy(session)
        pair = consul.kv_get(name)
        assert (pair and pair.value) == left
    assert pair.session == ""


def test_a_lock_delay_holds_others_off(consul, name, wait_for):
    session = consul.session_create(name, 10, behavior="release", lock_delay=1.0)
    assert consul.kv_put(name, b"1", acquire=session)
    consul.session_destroy(session)
    other = consul.session_create(name, 10)
    assert not consul.kv_put(name, b"2", acquire=other)
    wait_for(lambda: consul.kv_put(name, b"2", acquire=other))
    consul.session_destroy(other)


def test_a_session_can_be_asked_for_and_renewed(consul, name):
    session = consul.session_create(name, 12.5)
    info = consul.session_info(session)
    assert (info.id, info.name, info.ttl, info.behavior) == (session, name, 12.5, "delete")
    assert consul.session_renew(session)
    consul.session_destroy(session)
    assert consul.session_info(session) is None
    assert not consul.session_renew(session)
    consul.session_destroy(session)


def test_a_session_ends_with_its_check(consul, url, name, aconsul_call):
    requests.put(
        f"{url}/v1/agent/check/register", json={"Name": name, "TTL": "10m", "Status": "passing"}
    ).raise_for_status()
    session = requests.put(f"{url}/v1/session/create", json={"Checks": [name], "LockDelay": "0s"}).json()["ID"]
    assert consul.kv_put(name, b"1", acquire=session)
    aconsul_call("update_check", name, CRITICAL)
    assert consul.session_info(session) is None
    assert consul.kv_get(name).session == ""
    requests.put(f"{url}/v1/agent/check/deregister/{name}").raise_for_status()


def test_locking_with_a_session_that_is_gone_is_refused(consul, name):
    with pytest.raises(RegistryError, match=f'invalid session "{NOBODY}"'):
        consul.kv_put(name, b"", acquire=NOBODY)


# The rest.


def test_there_is_a_leader(consul):
    assert consul.leader().startswith("127.0.0.1:")


def test_the_agent_tells_what_it_holds(consul, aconsul_call, name):
    consul.register(entry(name, Tags=["t"], Check={"TTL": "10m"}))
    row = aconsul_call("agent_services")[f"{name}:1"]
    assert (row["Service"], row["Port"], row["Tags"], row["Meta"]) == (name, 32001, ["t"], {})
    assert aconsul_call("agent_checks")[f"service:{name}:1"]["Status"] == CRITICAL


def test_the_articles_look_at_the_catalog(consul, url, name, tool):
    consul.register(entry(name))
    curl = subprocess.run([tool("curl"), "-s", f"{url}/v1/catalog/service/{name}"], capture_output=True, check=True)
    jq = subprocess.run(
        [tool("jq"), "-r", '.[] | "\\(.ServiceAddress):\\(.ServicePort) \\(.Node)"'],
        input=curl.stdout,
        capture_output=True,
        check=True,
        text=False,
    )
    assert jq.stdout.decode().startswith("10.0.0.1:32001 ")
    assert json.loads(curl.stdout)[0]["ServiceTags"] == []


def test_a_session_that_nobody_renews_ends_and_frees_its_lock(consul, abandoned, wait_for):
    session, key = abandoned[consul.url]
    wait_for(lambda: consul.session_info(session) is None, "the session's end", seconds=40)
    assert consul.kv_get(key) is None


@pytest.mark.parametrize("ttl", ["-1s", "9s", "25h"])
def test_a_sessions_time_out_of_range_is_refused(url, ttl):
    answer = requests.put(f"{url}/v1/session/create", json={"TTL": ttl}, timeout=10)
    assert answer.status_code == 500
    assert answer.text.startswith("Invalid Session TTL '")
    assert answer.text.rstrip().endswith("must be between [10s=24h0m0s]")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_body_is_taken_as_it_comes_whatever_its_encoding(consul, name, encoding):
    key, headers = f"{consul.url}/v1/kv/r-{name}", {"Content-Encoding": encoding}
    assert requests.put(key, b"{}", headers=headers, timeout=10).json() is True
    assert requests.get(key, params={"raw": ""}, timeout=10).content == b"{}"
    assert requests.put(f"{consul.url}/v1/agent/service/register", b"{", headers=headers, timeout=10).status_code == 400

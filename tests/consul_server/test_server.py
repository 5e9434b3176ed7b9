"""The embedded registry where it is not Consul: its state file, its token, whom it wakes, how it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.consul_server import checks
from jenkins_proxy.consul_server.server import EmbeddedRegistry
from jenkins_proxy.consul_server.state.append_log import AppendLog
from jenkins_proxy.consul_server.state.state_store import Timing
from jenkins_proxy.errors import RegistryError, UsageError
from tests.fixtures.http_server import Handler, serving


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state" / "registry"


def filled(url: str) -> str:
    with Consul(url) as client:
        client.register(
            {
                "ID": "a:1",
                "Name": "a",
                "Port": 1,
                "Address": "10.0.0.1",
                "Tags": ["t"],
                "Check": {"TTL": "10m", "Status": "passing"},
            }
        )
        client.register({"ID": "a:2", "Name": "a", "Port": 2, "Address": "10.0.0.1"})
        client.register({"ID": "gone", "Name": "gone", "Port": 3})
        client.deregister("gone")
        client.kv_put("k/1", b"\x00\xff")
        client.kv_put("k/2", b"2")
        client.kv_delete("k/2")
        session = client.session_create("s", 10)
        assert client.kv_put("lock", b"me", acquire=session)
        return session


def test_a_restart_keeps_everything(embed, state):
    first = embed(state)
    session = filled(first.url)
    with Consul(first.url) as client:
        before = client.instances("a"), client.kv_list(""), client.session_info(session)
    embed.stop(first)
    with Consul(embed(state).url) as client:
        after = client.instances("a"), client.kv_list(""), client.session_info(session)
        assert after[0][0] == before[0][0]
        assert after[1:] == before[1:]
        assert client.services() == {"a": ["t"]}
        assert client.session_renew(session)
        assert not client.kv_put("lock", b"other", acquire=client.session_create("t", 10))


def test_a_restart_never_takes_an_index_back(embed, state):
    first = embed(state)
    filled(first.url)
    with Consul(first.url) as client:
        asked = [client.instances("a")[1], client.instances("gone")[1]]
    embed.stop(first)
    with Consul(embed(state).url) as client:
        for name, index in zip(("a", "gone"), asked):
            # It answers at once, with an index to go on from: 0 would say that the registry begins anew.
            assert client.instances(name, index=index, wait=30)[1] > index


def test_a_killed_registry_loses_nothing_that_it_answered(embed, state, tmp_path):
    registry = embed(state)
    filled(registry.url)
    copy = tmp_path / "copy"
    # What is on the disk while it still runs: all that a kill leaves, with half a line that a power cut may leave.
    copy.write_bytes(state.read_bytes() + b'[9999,"kv","half",{"Key":')
    with Consul(registry.url) as there, Consul(embed(copy).url) as here:
        assert here.kv_list("") == there.kv_list("")
        assert here.instances("a")[0] == there.instances("a")[0]
        assert here.kv_get("half") is None


def test_the_state_file_is_its_owners_alone(embed, state):
    embed(state)
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600


def test_the_state_file_does_not_grow_for_ever(embed, state):
    with Consul(embed(state).url) as client:
        for number in range(1300):
            client.kv_put("counter", str(number).encode())
    assert len(state.read_bytes().splitlines()) < 400


@pytest.mark.parametrize("content", [b"{}\n", b"[1,2]\n", b"nonsense\nmore\n", b"\xff\n"])
async def test_a_damaged_state_file_is_an_error(state, content):
    state.parent.mkdir()
    state.write_bytes(content)
    with pytest.raises(UsageError, match=f"state file {state} is damaged in line 1"):
        await EmbeddedRegistry(state).start(port=0)
    assert state.read_bytes() == content


async def test_a_state_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write the registry's state file"):
        await EmbeddedRegistry(tmp_path / "file" / "state").start(port=0)


def test_a_change_that_cannot_be_kept_is_refused(embed, state, monkeypatch):
    with Consul(embed(state).url) as client:
        client.kv_put("k", b"old")

        def full(self, *_record):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(AppendLog, "append", full)
        with pytest.raises(RegistryError, match="state file cannot be written: No space left on device"):
            client.kv_put("k", b"new")
        assert client.kv_get("k").value == b"old"


async def test_a_taken_port_is_an_error_and_leaves_the_state_alone(state):
    first = EmbeddedRegistry(state)
    await first.start(port=0)
    before = state.read_bytes()
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{first.port}: Address already in use"):
        await EmbeddedRegistry(state).start(port=first.port)
    assert state.read_bytes() == before
    await first.stop()


async def test_it_stops_while_queries_wait(until):
    registry = EmbeddedRegistry()
    await registry.start(port=0)
    async with AsyncConsul(registry.url) as client:
        _, index = await client.watch_services()
        asked = asyncio.ensure_future(client.watch_services(index=index, wait=600))
        await until(lambda: registry.waiting)
        await registry.stop()
        with pytest.raises(RegistryError):
            await asked


async def test_it_stops_though_a_check_swallows_its_cancellation(monkeypatch):
    probing = asyncio.Event()

    async def deaf(_definition):
        if not probing.is_set():
            probing.set()
            # As `wait_for` does before Python 3.12 when its result comes with a cancellation.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        return "passing", ""

    monkeypatch.setattr(checks, "probe", deaf)
    registry = EmbeddedRegistry()
    await registry.start(port=0)
    async with AsyncConsul(registry.url) as client:
        await client.register({"Name": "a", "Check": {"TCP": "127.0.0.1:1", "Interval": "10ms"}})
        await probing.wait()
    await asyncio.wait_for(registry.stop(), 5)


async def test_a_query_whose_client_left_is_forgotten(until):
    registry = EmbeddedRegistry()
    await registry.start(port=0)
    async with AsyncConsul(registry.url) as client:
        _, index = await client.watch_services()
        asked = asyncio.ensure_future(client.watch_services(index=index, wait=600))
        await until(lambda: registry.waiting)
        asked.cancel()
    await until(lambda: not registry.waiting)
    await registry.stop()


async def test_a_change_wakes_its_own_watchers_only(until):
    registry = EmbeddedRegistry()
    await registry.start(port=0)
    async with AsyncConsul(registry.url, connections=70) as client:
        indexes = {name: (await client.instances(name))[1] for name in map(str, range(60))}
        asked = {
            name: asyncio.ensure_future(client.instances(name, index=index, wait=60)) for name, index in indexes.items()
        }
        await until(lambda: registry.waiting == 60)
        woken = []
        touch = registry._store.wake
        registry._store.wake = lambda topic: (woken.append(topic), touch(topic))
        await client.register({"ID": "7", "Name": "7", "Port": 7})
        [instance], _ = await asked["7"]
        assert instance.address.port == 7
        assert registry.waiting == 59
        assert {topic for topic in woken if topic[0] == "service"} == {("service", "7")}
        for query in asked.values():
            query.cancel()
    await registry.stop()


def test_with_a_token_reading_and_writing_need_it(embed):
    registry = embed(token="s3cret")
    for token in ("", "wrong"):
        with Consul(registry.url, token) as client:
            with pytest.raises(RegistryError, match="Permission denied"):
                client.services()
            with pytest.raises(RegistryError, match="refused PUT /v1/kv/k: Permission denied") as caught:
                client.kv_put("k", b"")
            assert "CONSUL_HTTP_TOKEN" in caught.value.hint
    with Consul(registry.url, "s3cret") as client:
        assert client.kv_put("k", b"")
    assert requests.delete(f"{registry.url}/v1/kv/k", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert requests.delete(f"{registry.url}/v1/kv/k").text == "Permission denied"


def test_a_critical_service_is_taken_away_where_its_check_asks_for_it(embed, wait_for):
    with Consul(embed(timing=Timing(min_deregister_after=0.1)).url) as client:
        for name, status in (("bad", "critical"), ("good", "passing")):
            client.register(
                {
                    "ID": name,
                    "Name": name,
                    "Port": 1,
                    "Check": {"TTL": "10m", "Status": status, "DeregisterCriticalServiceAfter": "150ms"},
                }
            )
        wait_for(lambda: list(client.services()) == ["good"])


def test_a_check_that_recovers_keeps_its_service(embed, wait_for):
    url = embed(timing=Timing(min_deregister_after=2.0)).url
    with Consul(url) as client:
        for name in ("a", "b"):
            client.register(
                {"ID": name, "Name": name, "Port": 1, "Check": {"TTL": "10m", "DeregisterCriticalServiceAfter": "1ms"}}
            )
        requests.put(f"{url}/v1/agent/check/pass/service:a").raise_for_status()
        wait_for(lambda: list(client.services()) == ["a"])


def test_checks_and_their_ends_go_on_after_a_restart(embed, state, wait_for):
    first = embed(state)
    with Consul(first.url) as client:
        client.register({"ID": "a", "Name": "a", "Port": 1, "Check": {"TTL": "1s", "Status": "passing"}})
    embed.stop(first)
    with Consul(embed(state).url) as client:
        assert client.instances("a")[0][0].status == "passing"
        wait_for(lambda: client.instances("a")[0][0].status == "critical")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("agent/service/register", {"Name": "a", "Kind": "connect-proxy"}, "no service mesh"),
        ("agent/service/register", {"Name": "a", "Connect": {"SidecarService": {"Port": 1}}}, "no service mesh"),
        (
            "catalog/register",
            {"Node": "n", "Address": "a", "Service": {"Service": "s", "Kind": "x"}},
            "no service mesh",
        ),
        ("agent/service/register", {"Name": "a", "Check": {"AliasService": "b"}}, "no checks by AliasService"),
        ("session/create", {"ServiceChecks": [{"ID": "a"}]}, "no ServiceChecks of a session: name them in its Checks"),
        ("txn", [], "no transactions: make the calls on /v1/kv one by one"),
        ("event/fire/x", None, "no user events"),
        ("agent/join/10.0.0.1", None, "no cluster"),
        ("agent/leave", None, "no cluster to leave: stop `jenkins-proxy serve` instead"),
    ],
)
def test_what_it_does_not_have_it_says(embedded_url, path, body, said):
    answer = requests.put(f"{embedded_url}/v1/{path}", json=body)
    assert (answer.status_code, said in answer.text) == (501, True), answer.text
    assert answer.text.startswith("the embedded registry has no ")


@pytest.mark.parametrize(
    "path",
    [
        *("query", "query/x", "agent/metrics", "agent/host", "agent/monitor", "catalog/connect/a", "health/connect/a"),
        *(
            "health/ingress/a",
            "catalog/gateway-services/a",
            "event/list",
            "coordinate/nodes",
            "operator/raft/configuration",
        ),
        *("config/service-defaults/x", "connect/ca/roots", "connect/intentions", "discovery-chain/x", "snapshot"),
        *("internal/ui/services", "agent/connect/ca/roots"),
        *(
            f"{path}?filter=Port+==+80"
            for path in ("agent/services", "agent/checks", "catalog/nodes", "catalog/node/n")
        ),
        *(f"{path}?filter=Port+==+80" for path in ("catalog/service/s", "health/service/s", "health/state/any")),
        *(f"{path}?node-meta=a:b" for path in ("catalog/nodes", "catalog/services", "health/service/s")),
    ],
)
def test_no_call_of_consul_looks_as_if_there_were_none(embedded_url, path):
    answer = requests.get(f"{embedded_url}/v1/{path}")
    assert answer.status_code == 501
    what, _, instead = answer.text.partition(": ")
    assert what.startswith("the embedded registry has no ")
    assert instead


@pytest.mark.parametrize("path", ["acl/tokens", "acl/policy/x", "agent/token/default"])
def test_acls_are_off_as_in_a_consul_without_them(embedded_url, path):
    answer = requests.get(f"{embedded_url}/v1/{path}")
    assert (answer.status_code, answer.text) == (401, "ACL support disabled")


def test_a_service_is_waited_for_by_its_hash(embedded_url):
    def ask(known: str = "", wait: str = "10s"):
        return requests.get(f"{embedded_url}/v1/agent/service/hashed?hash={known}&wait={wait}", timeout=30)

    with Consul(embedded_url) as client:
        client.register({"ID": "hashed", "Name": "hashed", "Port": 1})
        first = ask()
        known = first.json()["ContentHash"]
        assert first.headers["X-Consul-Contenthash"] == known
        assert ask(known, "50ms").json()["ContentHash"] == known
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(ask, known)
            client.register({"ID": "hashed", "Name": "hashed", "Port": 2})
            assert asked.result().json()["Port"] == 2
        client.deregister("hashed")
    assert ask(known).status_code == 404


def test_a_query_is_woken_by_a_service_in_other_letters(embedded_url):
    with Consul(embedded_url) as client, ThreadPoolExecutor() as pool:
        _, index = client.instances("woken")
        asked = pool.submit(lambda: requests.get(f"{embedded_url}/v1/health/service/woken?index={index}&wait=30s"))
        client.register({"ID": "w", "Name": "WOKEN", "Port": 1})
        assert [entry["Service"]["ID"] for entry in asked.result().json()] == ["w"]
        client.deregister("w")


def test_a_check_runs_once_a_second_at_most(embed, wait_for):
    runs = []

    class Answers(Handler):
        def do_GET(self):
            runs.append(time.monotonic())
            self.send_response(200)
            self.end_headers()

    with serving(Answers) as server, Consul(embed().url) as client:
        check = {"HTTP": f"{server.url}/", "Interval": 1, "Timeout": "1s"}
        client.register({"Name": "often", "Check": check})
        wait_for(lambda: len(runs) >= 3, "three runs")
        client.deregister("often")
    assert min(later - earlier for earlier, later in itertools.pairwise(runs)) > 0.9


def test_the_journal_holds_json_lines(embed, state):
    with Consul(embed(state).url) as client:
        client.kv_put("k", b"v")
    lines = [json.loads(line) for line in state.read_bytes().splitlines()]
    assert [line[1:3] for line in lines][-1] == ["kv", "k"]


@pytest.mark.parametrize("path", ["connect/ca/roots", "query", "kv/key", "internal/ui/services", "catalog/services"])
def test_a_method_that_a_path_does_not_have(embedded_url, path):
    answer = requests.patch(f"{embedded_url}/v1/{path}", timeout=10)
    assert (answer.status_code, answer.headers["Allow"].partition(",")[0]) == (405, "OPTIONS")


def test_without_acls_rights_are_not_told(embedded_url):
    answer = requests.post(f"{embedded_url}/v1/internal/acl/authorize", json=[], timeout=10)
    assert (answer.status_code, answer.text) == (401, "ACL support disabled")


@pytest.mark.parametrize("late", [b"", b"zz\r\nabc", b"5\r\nabcdefgh\r\n"])
def test_a_body_that_never_gets_whole_does_not_keep_its_connection(embed, late):
    server = embed(timing=Timing(body_within=0.3))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as caller:
        caller.sendall(b"PUT /v1/kv/a HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.1)
        caller.sendall(late)
        assert caller.recv(100).startswith(b"HTTP/1.1 408 ")

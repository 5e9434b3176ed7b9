"""State files that are damaged, of another version, or hold what the API refuses: said in words, and never a bug."""

from __future__ import annotations

import json
import logging
import random
import re

import pytest
import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.consul_server.state.append_log import AppendLog
from jenkins_proxy.consul_server.state.state_store import Store
from jenkins_proxy.errors import UsageError
from tests.fixtures import damage

READS = (
    *("agent/services", "agent/checks", "agent/self", "catalog/services", "catalog/nodes", "catalog/service/a"),
    *("catalog/node/n", "health/service/a", "health/state/any", "kv/?recurse", "session/list"),
)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "registry"


@pytest.fixture
def lines(embed, state):
    """The records of a registry with something in each table."""
    registry = embed(state)
    with Consul(registry.url) as client:
        check = {"TTL": "10m", "Status": "passing", "DeregisterCriticalServiceAfter": "90m"}
        polled = {"HTTP": "http://127.0.0.1:1/", "Interval": "1h", "Timeout": "1s"}
        for name in ("a", "b"):
            client.register({"ID": name, "Name": name, "Port": 1, "Tags": ["t"], "Checks": [check, polled]})
        client.kv_put("k", b"v")
        session = client.session_create("s", 10)
        client.kv_put("lock", b"me", acquire=session)
    node = {"Node": "n", "Address": "10.0.0.2", "Service": {"ID": "e", "Service": "e"}}
    requests.put(f"{registry.url}/v1/catalog/register", json=node).raise_for_status()
    embed.stop(registry)
    return [json.loads(line) for line in state.read_bytes().splitlines()]


def write(state, records) -> None:
    state.write_text("".join(json.dumps(record) + "\n" for record in records))


def find(lines, table: str, key) -> list:
    """The last record of a row."""
    return next(line for line in reversed(lines) if line[1] == table and line[2] == key)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1, 0, "NaN", None, [], 1e300])
def test_an_interval_that_is_none_costs_its_check_and_nothing_else(embed, state, lines, bad, caplog):
    definition = find(lines, "definitions", "service:a:2")
    definition[3]["Interval"] = bad
    write(state, lines)
    with caplog.at_level(logging.WARNING):
        registry = embed(state)
    assert "the check 'service:a:2' in the state file is left out" in caplog.text
    assert "service:a:2" in state.with_name("registry.damaged").read_text()
    with Consul(registry.url) as client:
        assert [instance.id for name in ("a", "b") for instance in client.instances(name)[0]] == ["a", "b"]
        # Its timers run: that of a session would not, with a number that is none in the loop.
        assert client.kv_put("another", b"v")
    checks = requests.get(f"{registry.url}/v1/agent/checks").json()
    assert sorted(checks) == ["service:a:1", "service:b:1", "service:b:2"]
    embed.stop(registry)
    caplog.clear()
    embed.stop(embed(state))
    assert "service:a:2" not in state.read_text() + caplog.text, "gone for good"


@pytest.mark.parametrize(
    ("table", "key", "change", "reason"),
    [
        ("services", "a", {"Service": 5}, "cannot unmarshal number"),
        ("services", "a", {"Tags": None}, "it has no Tags"),
        ("services", "a", {"ID": "other"}, "its key is another one"),
        ("kv", "k", {"Value": "no base64!"}, "base64"),
        ("kv", "k", {"ModifyIndex": -(2**70)}, "cannot unmarshal number"),
        ("checks", "service:a:1", {"ServiceTags": [5]}, "cannot unmarshal number"),
        ("sessions", None, {"TTL": "NaN"}, "invalid duration"),
        ("kv", "k", [], "it is no object"),
        ("definitions", "service:a:1", "x", "it is no object"),
    ],
)
def test_a_row_that_is_none_is_left_out_with_a_warning(embed, state, lines, table, key, change, reason, caplog):
    def matches(line) -> bool:
        return line[1] == table and (key is None or line[2] == key or (isinstance(line[2], list) and line[2][1] == key))

    bad = next(line for line in reversed(lines) if matches(line))
    bad[3] = {**bad[3], **change} if isinstance(change, dict) else change
    write(state, lines)
    before = state.read_bytes()
    with caplog.at_level(logging.WARNING):
        registry = embed(state)
    assert reason in caplog.text
    assert f"is kept as {state}.damaged" in caplog.text
    assert state.with_name("registry.damaged").read_bytes() == before
    with Consul(registry.url) as client:
        assert [instance.id for instance in client.instances("b")[0]] == ["b"]


def test_what_belongs_to_a_row_that_is_left_out_goes_with_it(embed, state, lines, caplog):
    find(lines, "nodes", "n")[3]["Address"] = 5
    write(state, lines)
    with caplog.at_level(logging.WARNING):
        registry = embed(state)
    assert "its node 'n' is not there" in caplog.text
    assert requests.get(f"{registry.url}/v1/health/service/e").json() == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([1, "leases", "x", {}], "there is no table 'leases'"),
        ([1, "kv", ["a", "b"], {}], "its key is no text"),
        ([1, "services", "a", {}], "its key is none of its table"),
        ([1, "kv", {"a": 1}, {}], ""),
        (["1", "kv", "k", {}], "its index is no number"),
        ([float("nan"), "kv", "k", {}], "its index is no number"),
        ([10**30, "kv", "k", {}], "its index is no number"),
        ([1, "kv", "k"], ""),
        ({"index": 1}, ""),
    ],
)
async def test_a_record_of_another_version_stops_the_start_and_says_where(state, lines, record, reason):
    write(state, [lines[0], record, *lines[1:]])
    before = state.read_bytes()
    with pytest.raises(UsageError) as caught:
        Store(AppendLog(state))
    assert f"state file {state} is damaged in line 2, or of another version: {reason}" in caught.value.message
    assert caught.value.hint == "move it away to begin with an empty registry, or give another --state-dir"
    assert state.read_bytes() == before


@pytest.mark.parametrize("seed", range(40))
def test_generated_damage_is_refused_or_left_out(embed, state, lines, seed):
    chance = random.Random(seed)
    write(state, lines)
    raw = bytearray(state.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(raw))
        kind = chance.choice(("byte", "cut", "drop", "value"))
        if kind == "byte":
            raw[at] = chance.randrange(256)
        elif kind == "cut":
            del raw[at : at + chance.randrange(1, 40)]
        elif kind == "drop":
            rows = raw.split(b"\n")
            del rows[chance.randrange(len(rows) - 1)]
            raw = bytearray(b"\n".join(rows))
        else:
            rows = [json.loads(line) for line in bytes(raw).splitlines()] if _readable(raw) else []
            objects = [row for row in rows if isinstance(row, list) and isinstance(row[-1], dict) and row[-1]]
            if objects:
                row = chance.choice(objects)[-1]
                row[chance.choice(list(row))] = chance.choice((None, 5, "x", [], {}, float("nan"), [None], -1, 1e300))
                raw = bytearray("".join(json.dumps(row) + "\n" for row in rows).encode())
    state.write_bytes(raw)
    try:
        registry = embed(state)
    except UsageError as error:
        assert str(state) in error.message
        assert error.hint
        return
    for path in READS:
        answer = requests.get(f"{registry.url}/v1/{path}")
        assert answer.status_code in (200, 404), (path, answer.text)
    with Consul(registry.url) as client:
        client.register({"ID": "new", "Name": "a", "Port": 2})
        assert "new" in [instance.id for instance in client.instances("a")[0]]


def _readable(raw: bytes) -> bool:
    try:
        return bool([json.loads(line) for line in bytes(raw).splitlines()])
    except ValueError:
        return False


def test_a_file_with_any_byte_damaged_or_cut_off_is_loaded_or_refused(state, lines, caplog):
    """What is refused is named with its line and what to do; what is left out is kept aside."""
    places = {"nodes": "n", "kv": "k", "services": ["n", "e"], "sessions": None}
    few = [next(line for line in lines if line[1] == table and key in (None, line[2])) for table, key in places.items()]
    for number, value in enumerate(damage.bytewise("".join(json.dumps(line) + "\n" for line in few).encode())):
        state.write_bytes(value)
        caplog.clear()
        try:
            store = Store(AppendLog(state))
        except UsageError as error:
            assert re.search(rf"{re.escape(str(state))} is damaged in line \d+", error.message)
            assert error.hint
            continue
        store.close()
        assert store.index > 0
        if "is left out" in caplog.text:
            assert f"is kept as {state}.damaged" in caplog.text
        assert not any(record.exc_info for record in caplog.records), number

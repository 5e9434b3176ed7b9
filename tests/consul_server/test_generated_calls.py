"""Whatever a call holds, the embedded registry answers it, and goes on: no bug's 500, nothing half-registered."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
import yarl

from jenkins_proxy.consul_server.server import EmbeddedRegistry
from jenkins_proxy.consul_server.state.state_store import Timing
from tests.fixtures import wrong_json

CHECK = {"TTL": "10m", "Status": "passing", "Notes": "n", "DeregisterCriticalServiceAfter": "90m"}
POLLED = {"HTTP": "http://127.0.0.1:1/", "Interval": "1h", "Timeout": "1s", "Header": {"X": ["y"]}, "Method": "GET"}
SERVICE = {
    "ID": "s1",
    "Name": "s",
    "Port": 80,
    "Address": "10.0.0.1",
    "Tags": ["t"],
    "Meta": {"k": "v"},
    "Weights": {"Passing": 1, "Warning": 1},
    "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 80}},
    "Check": CHECK,
    "Checks": [CHECK, POLLED, {"TCP": "127.0.0.1:1", "Interval": 10**12}, {"GRPC": "x:1/y", "Interval": "1h"}],
}
NODE = {"Node": "n", "Address": "10.0.0.2", "NodeMeta": {"k": "v"}, "TaggedAddresses": {"lan": "10.0.0.2"}}
PATHS = {
    "PUT /v1/agent/service/register": SERVICE,
    "PUT /v1/agent/service/register?replace-existing-checks=1": SERVICE,
    "PUT /v1/agent/check/register": {"Name": "c", "ServiceID": "s1", **CHECK},
    "PUT /v1/agent/check/update/service:s1:1": {"Status": "passing", "Output": "o"},
    "PUT /v1/agent/service/deregister/s1": None,
    "PUT /v1/agent/service/maintenance/s1?enable=true": None,
    "PUT /v1/catalog/register": {
        **NODE,
        "Service": {"ID": "e1", "Service": "e", "Port": 5, "Tags": ["q"]},
        "Check": {"CheckID": "k", "Name": "kn", "Status": "passing", "ServiceID": "e1", "ServiceTags": []},
        "Checks": [{"Name": "z", "Status": "critical"}],
    },
    "PUT /v1/catalog/deregister": {"Node": "n", "ServiceID": "e1"},
    "PUT /v1/session/create": {
        "Name": "x",
        "TTL": "15s",
        "LockDelay": "1s",
        "Checks": ["serfHealth"],
        "NodeChecks": [],
    },
    "PUT /v1/kv/a": {"any": "value"},
    "PUT /v1/txn": [],
    **{
        f"GET /v1/{path}": None
        for path in (
            *("agent/services", "agent/checks", "agent/self", "agent/members", "catalog/services", "catalog/nodes"),
            *("catalog/service/s", "catalog/node/n", "health/service/s", "health/node/n", "health/checks/s", "kv/a"),
            *("health/state/any", "agent/service/s1", "agent/health/service/name/s", "agent/health/service/id/s1"),
            *("session/list", "session/info/x", "kv/?recurse", "query", "bogus", "catalog/service/%ff"),
        )
    },
}
QUERIES = (
    *(
        "index=1&wait=1ms",
        "index=NaN",
        "index=" + "9" * 5000,
        "index=%C2%B2",
        "wait=NaN",
        "wait=1e9h",
        "dc=%ff",
        "cas=" + "9" * 30,
    ),
    *(
        "flags=%C2%B2",
        "acquire=x",
        "token=%ff",
        "tag=%00",
        "passing",
        "pretty",
        "filter=%ff",
        "enable=%ff",
        "keys&separator=%ff",
    ),
)
# What the registry itself says when it is right to.
KNOWN_500 = (
    "Missing",
    "invalid",
    "failed",
    "Must provide",
    "strconv",
    "does not",
    "UUID",
    "Bad ",
    "No path",
    "check node",
)


async def _everything(session: aiohttp.ClientSession, url: str) -> list:
    """What is registered, without what checks say of it: they run meanwhile."""
    found = []
    for path in ("agent/services", "catalog/nodes", "health/state/any", "session/list", "kv/?recurse"):
        async with session.get(f"{url}/v1/{path}") as answer:
            data = await answer.json() if answer.status == 200 else None
        found.append([(row["Node"], row["CheckID"], row["ServiceID"]) for row in data] if "state" in path else data)
    return found


async def _bad_answers(registry: EmbeddedRegistry, seed: int, number: int) -> list[tuple]:
    """The calls that were answered as a bug is, and those that were refused and yet changed something."""
    bad, timeout = [], aiohttp.ClientTimeout(5)
    async with aiohttp.ClientSession() as session:
        before = await _everything(session, registry.url)
        for method, path, body, headers in wrong_json.calls(seed, number, PATHS, QUERIES):
            url = yarl.URL(registry.url + path, encoded=True)
            with contextlib.suppress(UnicodeError):  # a header that this client does not send
                async with session.request(method, url, data=body, headers=headers, timeout=timeout) as answer:
                    text = await answer.text(errors="replace")
                if answer.status == 500 and not any(word in text for word in KNOWN_500):
                    bad.append((method, path, body, headers, text))
                after = await _everything(session, registry.url)
                if answer.status != 200 and after != before:
                    bad.append((method, path, body, headers, "refused, and yet changed"))
                before = after
    return bad


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_call_is_answered(seed, caplog):
    registry = EmbeddedRegistry(timing=Timing(min_check_interval=3600))
    await registry.start(port=0)
    try:
        assert await _bad_answers(registry, seed, 500) == []
        async with aiohttp.ClientSession() as session, asyncio.timeout(5):
            # Its timers go on, too: a lock's session, a blocking query.
            async with session.get(f"{registry.url}/v1/kv/never?index=100000&wait=10ms") as answer:
                assert answer.status == 404
            async with session.get(f"{registry.url}/v1/health/state/any") as answer:
                assert answer.status == 200
    finally:
        await registry.stop()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []

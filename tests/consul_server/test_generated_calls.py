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
from tests.fixtures.call_tables import KNOWN_500, REGISTRY, REGISTRY_QUERIES


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
        for method, path, body, headers in wrong_json.calls(seed, number, REGISTRY, REGISTRY_QUERIES):
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

"""Whose session a proxy's key is held by, and what becomes of that."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.aio import cancel_all
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.timing import Timing


class Registry:
    """Sessions and the one key, as a Consul has them.

    :ivar denied: sessions that are there, and of which it does not know.
    """

    def __init__(self, holder: str = "") -> None:
        self.sessions, self.holder, self.denied = {holder} - {""}, holder, set()
        self.made = 0
        self.published = asyncio.Event()

    async def session_renew(self, session: str) -> bool:
        return session in self.sessions - self.denied

    async def session_create(self, _name: str, _ttl: float) -> str:
        self.made += 1
        self.sessions.add(f"own-{self.made}")
        return f"own-{self.made}"

    async def session_destroy(self, session: str) -> None:
        self.sessions.discard(session)
        self.holder = "" if self.holder == session else self.holder

    async def publish(self, _name: str, session: str, _state) -> bool:
        if self.holder not in ("", session):
            return False
        self.holder = session
        self.published.set()
        return True

    async def session_of(self, _name: str) -> str:
        return self.holder


@pytest.mark.parametrize("holder", ["", "of-the-daemon-before"])
async def test_a_new_leader_that_does_not_know_a_session_yet_costs_no_proxy_its_place(holder):
    registry = Registry(holder)
    heartbeat = Heartbeat(registry, registry, "one", Timing(session_ttl=1000.0))
    task = asyncio.create_task(heartbeat.run())
    async with asyncio.timeout(20):
        await registry.published.wait()
        assert (registry.holder, registry.sessions) == ("own-1", {"own-1"})
        registry.denied.add("own-1")
        registry.published.clear()
        heartbeat.touch()
        await registry.published.wait()
    assert (registry.holder, registry.sessions) == ("own-1", {"own-1"})
    await cancel_all([task])

"""What no other test can cause: a round that fails by a bug."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applied
from jenkins_proxy.proxy.reconcile import loop
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import StoredRoutes


class Faulty:
    """An applier whose first call fails in a way that nobody foresaw."""

    running: dict = {}
    version = 1

    def __init__(self) -> None:
        self.calls = 0

    async def apply(self, *_what, **_how) -> Applied:
        self.calls += 1
        if self.calls == 1:
            raise ValueError("a bug")
        return Applied()


async def test_a_bug_in_one_round_is_told_and_is_not_the_end(monkeypatch):
    monkeypatch.setattr(loop, "_RETRY", 0.0)
    desired = DesiredState(lambda address: (address,), StoredRoutes(), {}, {})
    events, settled = EventBus(), asyncio.Event()
    told = events.subscribe()
    work = ReconcileLoop(Faulty(), desired, events, settled.set)
    task = asyncio.create_task(work.run())
    with pytest.raises(ProxyError, match=r"a change failed by a bug: ValueError\('a bug'\)"):
        await work.reconcile(["books"])
    assert (await told.__anext__()).kind == "reload-failed"
    await settled.wait()
    assert work.problem == ""
    task.cancel()
    await asyncio.wait([task])

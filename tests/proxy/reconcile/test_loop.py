"""What no other test can cause: a round that fails by a bug."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applied
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import StoredRoutes
from jenkins_proxy.proxy.timing import Timing


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


class Pulse:
    """A heartbeat that notes when it is updated."""

    def __init__(self) -> None:
        self.updated = asyncio.Event()

    def update(self, **_served: int) -> None:
        self.updated.set()


async def test_a_bug_in_one_round_is_told_and_is_not_the_end():
    desired = DesiredState(StoredRoutes(), {}, {})
    events, heartbeat = EventBus(), Pulse()
    told = events.subscribe()
    work = ReconcileLoop(desired, Faulty(), events=events, heartbeat=heartbeat, timing=Timing(reconcile_retry=0.0))
    task = asyncio.create_task(work.run())
    with pytest.raises(ProxyError, match=r"a change failed by a bug: ValueError\('a bug'\)"):
        await work.reconcile(["books"])
    assert (await told.__anext__()).kind == "reload-failed"
    await heartbeat.updated.wait()
    assert work.problem == ""
    task.cancel()
    await asyncio.wait([task])

"""What the watch of holds makes of answers between which something came and went."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.hold_watcher import HoldWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.holds import Hold, Holder, Holds
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes

BLUE, GREEN = (Route("books", ("/books",), color=color) for color in ("blue", "green"))
OLD, NEW = Address("10.0.0.1", 1), Address("10.0.0.1", 2)
HOLD = Hold("01234567", "0" * 64, GREEN, Holder("me"), 0.0, 600.0, (OLD,), (OLD,), version=5)
OTHERS = dataclasses.replace(HOLD, id="76543210", version=9)


class Store:
    """Answers with these, one after the other, and then no more."""

    def __init__(self, *answers: Holds) -> None:
        self._answers = list(answers)
        self.done = asyncio.Event()

    async def holds(self, *, index: int, wait: float):
        if not self._answers:
            self.done.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        return answer, answer.index


class Routes:
    """Stands in for the watch of routes, which is behind: it has the new route only when it is read."""

    def __init__(self, desired: DesiredState) -> None:
        self._desired = desired
        self.users: list[str] = []

    async def read(self) -> None:
        self._desired.take_routes(StoredRoutes({"books": StoredRoute(GREEN, 7)}, 10, store_id="A"))

    def services_changed(self, services) -> None:
        self.users += [self._desired.users_route(service).color for service in services]


class Loop:
    def index_changed(self) -> None: ...


@pytest.mark.parametrize(
    ("answers", "colors"),
    [
        pytest.param([HOLD, HOLD.promote([NEW]), None], ["blue", "green", "green"], id="each-is-seen"),
        pytest.param([HOLD, None], ["blue", "green"], id="promoted-and-ended-in-between"),
        pytest.param([HOLD, OTHERS], ["blue", "green"], id="promoted-and-another-began-in-between"),
    ],
)
async def test_where_a_hold_ends_its_route_is_known_before(answers, colors):
    desired = DesiredState(StoredRoutes({"books": StoredRoute(BLUE, 1)}, 1, store_id="A"), {}, {})
    found = [
        Holds({"books": dataclasses.replace(hold, version=number)} if hold else {}, number, "A")
        for number, hold in enumerate(answers, 5)
    ]
    failures: list[BaseException] = []
    events, tasks = EventBus(), TaskGroup(lambda _name, error: failures.append(error))
    routes, store = Routes(desired), Store(*found)
    readiness = type("Readiness", (), {"mark_ready": lambda *_: None})()
    watcher = HoldWatcher(
        desired,
        Loop(),
        store=store,
        routes=routes,
        readiness=readiness,
        reachability=Reachability(events),
        events=events,
        tasks=tasks,
    )
    watcher.start()
    await asyncio.wait_for(store.done.wait(), 5)
    await tasks.cancel_all()
    assert failures == []
    # What is told first is the store's ID alone.
    assert routes.users == colors

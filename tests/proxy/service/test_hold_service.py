"""What a hold's calls make of watches that have not answered yet, as those of a daemon that has just started."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.holds import Hold, Holder
from jenkins_proxy.proxy.models import ConflictError
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import Reading
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.service.hold_service import HoldService

BLUE, GREEN = (Route("books", ("/books",), color=color) for color in ("blue", "green"))
OLD, NEW, OTHER = (Address("10.0.0.1", port) for port in (1, 2, 3))


class World:
    """A registry with a hold and the instances of both colors, at a proxy that has heard of neither yet."""

    def __init__(self) -> None:
        self.desired = DesiredState(StoredRoutes({"books": StoredRoute(BLUE, 1)}, 1), {}, {})
        self.hold = Hold("01234567", "0" * 64, GREEN, Holder("me"), 0.0, 600.0, (OLD,), (OLD,), version=5)
        self.there = {BLUE.registry_name: OLD, GREEN.registry_name: NEW}
        self.refused: dict[str, str] = {}
        self.running: dict = {}
        self.instances = SimpleNamespace(take=self._take)
        self.holds = HoldService(self.desired, self, routes=self, store=self, discovery=self, applier=self, peers=self)

    def _take(self, name: str, reading: Reading) -> None:
        self.desired.instances.take(name, reading.instances, reading.index)

    async def read_instances(self, route: Route) -> Reading:
        name = route.registry_name
        return Reading((Instance(name, "an-id", self.there[name]),), 7)

    async def change(self, _service: str, change) -> Hold:
        self.hold = change(self.hold)
        return self.hold

    def hold_changed(self, _service: str, _before) -> None: ...

    async def reconcile(self, _services) -> None: ...

    async def wait_holds(self, _service: str, _timeout: float) -> dict:
        return {}


async def test_what_the_watches_have_not_told_yet_is_asked_for():
    world = World()
    await world.holds.promote("books", "01234567", [NEW], [OLD], 1.0)
    assert world.hold.promoted
    assert set(world.hold.serving) == {NEW, OLD}


async def test_who_is_not_there_is_refused():
    world = World()
    with pytest.raises(ConflictError, match="not a live instance of books: 10.0.0.1:3"):
        await world.holds.promote("books", "01234567", [NEW, OTHER], [], 1.0)
    assert not world.hold.promoted

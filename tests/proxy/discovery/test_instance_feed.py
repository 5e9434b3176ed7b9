"""What becomes of reports of a registry that is back, and may tell what was long ago before it tells what is."""

from __future__ import annotations

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.instance_feed import InstanceFeed
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import Reading
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))


class Readiness:
    """A gate before which whoever is new waits."""

    def __init__(self, desired: DesiredState) -> None:
        self._desired = desired

    def check(self, name, before, instances, _notified_at) -> None:
        known = {one.address for one in before} - self._desired.instances.not_ready(name).keys()
        new = {one.address: 1.0 for one in instances if one.address not in known}
        self._desired.instances.set_not_ready(name, new)


class Loop:
    def enqueue(self, _services, _notified_at=0.0) -> None: ...


def instances(ports: str) -> tuple[Instance, ...]:
    return tuple(Instance("books", port, Address("10.0.0.1", int(port))) for port in ports)


class Proxy:
    """What users meet of ``books`` after each report, where 1 and 2 served before."""

    def __init__(self, tasks: TaskGroup, timing: Timing, drained: str = "") -> None:
        drains = {"books": {Address("10.0.0.1", int(port)): port for port in drained}}
        self.desired = DesiredState(StoredRoutes({"books": StoredRoute(BOOKS, 1)}, 1), drains, {})
        self.desired.instances.take("books", instances("12"))
        self._backend = Backend.serving(BOOKS, [one.address for one in instances("12") if one.id not in drained])
        self._feed = InstanceFeed(
            self.desired,
            Loop(),
            store=None,
            reachability=Reachability(EventBus()),
            readiness=Readiness(self.desired),
            resolver=None,
            tasks=tasks,
            timing=timing,
        )

    def report(self, ports: str) -> str:
        self._feed.on_report("books", Reading(instances(ports)), 1.0)
        return self.served

    @property
    def served(self) -> str:
        self._backend = self.desired.backends(["books"], {"books": self._backend})["books"]
        return "".join(sorted(str(address.port) for address in self._backend.addresses(ServerState.SERVING)))


@pytest.fixture
async def tasks():
    failures: list[BaseException] = []
    made = TaskGroup(lambda _name, error: failures.append(error))
    yield made
    await made.cancel_all()
    assert failures == []


@pytest.mark.parametrize(
    ("drained", "reports", "served"),
    [
        pytest.param("", ["1"], ["1"], id="one-is-gone"),
        pytest.param("", [""], ["12"], id="none-is-there-yet"),
        pytest.param("", ["34"], ["12"], id="all-are-others"),
        pytest.param("", ["34", "345"], ["12", "12"], id="and-those-are-not-ready"),
        pytest.param("", ["34", "312"], ["12", "12"], id="and-then-it-tells-what-is"),
        pytest.param("1", ["13"], ["2"], id="of-before-there-is-one-that-is-drained"),
    ],
)
async def test_while_a_registry_comes_back_somebody_serves(tasks, drained, reports, served):
    proxy = Proxy(tasks, Timing(empty_grace=600.0, doubt_poll=600.0), drained)
    assert [proxy.report(ports) for ports in reports] == served


async def test_later_what_it_tells_is_believed(tasks):
    assert Proxy(tasks, Timing(empty_grace=0.0)).report("34") == ""


async def test_once_one_of_the_others_answers_they_are_believed(tasks, wait_until):
    proxy = Proxy(tasks, Timing(empty_grace=600.0, doubt_poll=0.001))
    assert proxy.report("34") == "12"
    proxy.desired.instances.set_not_ready("books", {Address("10.0.0.1", 4): 1.0})
    await wait_until(lambda: proxy.served == "3")

"""What the queries of a registry that was away owe each other before anything of it is served."""

from __future__ import annotations

import asyncio

from jenkins_proxy.aio import cancel_all
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applied
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))
OLD, NEW = Address("10.0.0.1", 1), Address("10.0.0.1", 2)
# Nobody asks again by itself, nor goes on without the others, within a test's time.
PATIENT = Timing(registry_retry_min=1000.0, registry_retry_max=1000.0, catch_up=1000.0)


class Query:
    """A blocking query of a registry that is away until it is back, and answers when it is told."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.failed = False
        self._fail, self._tell = asyncio.Event(), asyncio.Event()

    async def __call__(self, *, index: int) -> tuple[str, int]:
        self.asked.release()
        if index:
            await asyncio.Event().wait()
        if not self.failed:
            await self._fail.wait()
            self.failed = True
            raise RegistryError("it is away")
        await self._tell.wait()
        return "told", 7

    def fail(self) -> None:
        self._fail.set()

    def tell(self) -> None:
        self._tell.set()


class Recording:
    """An applier that keeps what served after each round."""

    version = 1

    def __init__(self, running: dict[str, Backend]) -> None:
        self.running = running
        self.served: list[set[Address]] = []

    async def apply(self, desired, *_what, **_how) -> Applied:
        self.running = {**self.running, **desired}
        self.served.append(set(self.running["books"].addresses(ServerState.SERVING)))
        return Applied()


class Cut:
    """A proxy whose queries of drains and of instances both failed: what it serves, and what it is told.

    The old instance served; when the registry was away a new one came, and the old one was drained.
    """

    def __init__(self) -> None:
        self.desired = DesiredState(StoredRoutes({"books": StoredRoute(BOOKS, 1)}, 1), {}, {})
        self.desired.instances.take("books", [entry(OLD)])
        self.applier = Recording({"books": Backend.serving(BOOKS, [OLD])})
        heartbeat = type("Heartbeat", (), {"update": lambda *_what, **_how: None})()
        self.reach = Reachability(EventBus(), PATIENT)
        self._loop = ReconcileLoop(self.desired, self.applier, events=EventBus(), heartbeat=heartbeat, timing=PATIENT)
        self._loop.caught_up = self.reach.caught_up
        self.drains, self.instances = Query(), Query()
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> Cut:
        works = (self._loop.run(), self._follow(self.drains, self._drain), self._follow(self.instances, self._enter))
        self._tasks = [asyncio.create_task(work) for work in works]
        return self

    async def __aexit__(self, *_error: object) -> None:
        await cancel_all(self._tasks)

    async def _follow(self, query: Query, take) -> None:
        async for _told, _changed in self.reach.watch(query):
            take()
            self._loop.enqueue(["books"])

    def _drain(self) -> None:
        self.desired.put_drains("books", {OLD: f"books-{OLD.port}"}, 5)

    def _enter(self) -> None:
        self.desired.instances.take("books", [entry(OLD), entry(NEW)])


def entry(address: Address) -> Instance:
    return Instance("books", f"books-{address.port}", address)


async def another() -> str:
    return "another"


async def test_a_proxy_that_was_cut_off_serves_what_all_its_queries_tell_together(wait_until):
    """The drain of the old instance is told first, while the new one is not known."""
    async with Cut() as proxy:
        queries = (proxy.drains, proxy.instances)
        for query in queries:
            await query.asked.acquire()
            query.fail()
        await wait_until(lambda: all(query.failed for query in queries))
        # Each would ask again in a quarter of an hour, were it not for another one that is answered.
        assert await proxy.reach.retry_forever(another) == "another"
        for query in queries:
            await query.asked.acquire()
        proxy.drains.tell()
        await wait_until(lambda: proxy.desired.drains)
        await proxy.drains.asked.acquire()
        assert proxy.applier.served == []
        proxy.instances.tell()
        await wait_until(lambda: proxy.applier.served)
    assert proxy.applier.served == [{NEW}]

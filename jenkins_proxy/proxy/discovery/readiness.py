"""A new instance joins only once it answers the check of its route, however long that takes.

A registrator enters a container when it starts, and its server listens a moment later, or never answers well. Until
then the port is not always closed: Docker's own proxy, through which every request from the same host goes, takes the
connection and drops it without an answer. So each new instance is asked what :func:`route_check` says, the first one of
a route as well as those that the registry checks: users get an honest 503 rather than a broken connection.

An instance that answered once stays ready for as long as its entry is registered: from then on it is HAProxy's own
check that takes it out. What served before the daemon started is ready, too.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy.aio import TaskGroup, with_timeout
from jenkins_proxy.model import CRITICAL, Address, Instance
from jenkins_proxy.proxy.discovery.asking import ask
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import live
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_check import RouteCheck, route_check
from jenkins_proxy.proxy.timing import DEFAULT, Timing

Identity = tuple[str, Address]

_IDLE = 3600.0
_PAUSE_SHARE = 0.1


@dataclass(eq=False, slots=True)
class _Waiting:
    """An instance that has not answered yet.

    :ivar since: the monotonic time since which it could have.
    :ivar notified_at: when the registry reported it.
    :ivar restored: the addresses that served before the daemon started.
    :ivar seen: what came instead of the answer; empty until it was asked.
    """

    registry_name: str
    instance: Instance
    since: float
    notified_at: float
    restored: frozenset[Address]
    seen: str = ""


class ReadinessGate:
    """Holds back instances that have not answered yet, and enqueues their routes when they have.

    :param limit: how many are asked at once at the most. Half of that is for those that are asked for the first time,
        so that many who are silent do not keep others waiting.
    """

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        events: EventBus,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
        limit: int = 256,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._events = events
        self._tasks = tasks
        self._timing = timing
        self._limit = limit
        # No task for each one that waits, but one entry in a queue: there may be tens of thousands of them.
        self._waiting: dict[str, dict[Identity, _Waiting]] = {}
        self._new: collections.deque[_Waiting] = collections.deque()
        self._again: list[tuple[float, int, _Waiting]] = []
        self._reports: list[tuple[float, int, _Waiting]] = []
        self._count = itertools.count()
        self._asking = 0
        self._wake = asyncio.Event()

    def check(
        self, registry_name: str, before: Sequence[Instance], now: Sequence[Instance], notified_at: float
    ) -> None:
        """Ask what is new among the instances of a service.

        :param before: the instances that were known; empty where none was.
        """
        # What is not known any more begins anew: meanwhile nobody was asked.
        known = self._waiting.get(registry_name, {}) if before else {}
        ready = {identity(instance) for instance in before} - known.keys()
        # A second entry of what serves already is not another instance.
        addresses = {instance.address for instance in live(now) if identity(instance) in ready}
        restored = self._desired.take_restored(registry_name)
        checks = self._checks(registry_name)
        waiting: dict[Identity, _Waiting] = {}
        for instance in now:
            who, own = identity(instance), known.get(identity(instance))
            if own is None:
                served = restored.intersection(self._desired.hosts.resolve(instance.address))
                if who in ready or instance.address in addresses or served or checks == () or not _can_listen(instance):
                    continue
            if own is None or (_critical(own.instance) and not _critical(instance)):
                own = _Waiting(registry_name, instance, time.monotonic(), notified_at, restored)
                self._begin(own)
            own.instance = instance
            waiting[who] = own
        self._set_waiting(registry_name, waiting)
        self._dispatch()

    def is_ready(self, registry_name: str, instance: Instance) -> bool:
        """Whether an instance is known and has answered."""
        who = identity(instance)
        if who in self._waiting.get(registry_name, {}):
            return False
        return any(identity(known) == who for known in self._desired.instances.known(registry_name))

    def mark_ready(self, registry_name: str, ready: Collection[Identity]) -> None:
        """These have answered: they need not be asked."""
        waiting = self._waiting.get(registry_name, {})
        if not waiting.keys().isdisjoint(ready):
            self._set_waiting(registry_name, {who: own for who, own in waiting.items() if who not in ready})

    def waiting_since(self, registry_name: str, instance: Instance) -> float:
        """The monotonic time since which an instance has not answered; now where it does not wait."""
        own = self._waiting.get(registry_name, {}).get(identity(instance))
        return own.since if own else time.monotonic()

    async def run(self) -> None:
        """Ask again those that have not answered, and report them, until cancelled."""
        while True:
            self._wake.clear()
            self._report(time.monotonic())
            self._dispatch()
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._wake.wait(), self._until_next(time.monotonic()))

    def _begin(self, own: _Waiting) -> None:
        self._new.append(own)
        self._push(self._reports, own.since + self._timing.ready_report, own)

    def _push(self, queue: list[tuple[float, int, _Waiting]], due: float, own: _Waiting) -> None:
        heapq.heappush(queue, (due, next(self._count), own))
        self._wake.set()

    def _until_next(self, now: float) -> float:
        """Seconds until there is something to do: those for whom there is no room are asked when another one ends."""
        queues = (self._reports, self._again) if self._asking * 2 < self._limit else (self._reports,)
        return max(0.0, min((queue[0][0] - now for queue in queues if queue), default=_IDLE))

    def _dispatch(self) -> None:
        """Ask at once whom there is room for."""
        now = time.monotonic()
        while self._asking < self._limit and (own := self._next(now)):
            self._asking += 1
            self._tasks.start(self._ask(own))

    def _next(self, now: float) -> _Waiting | None:
        while self._new:
            own = self._new.popleft()
            if self._may_ask(own, now):
                return own
        while self._again and self._again[0][0] <= now and self._asking * 2 < self._limit:
            own = heapq.heappop(self._again)[2]
            if self._may_ask(own, now):
                return own
        return None

    def _may_ask(self, own: _Waiting, now: float) -> bool:
        """Whether to ask it now. A candidate is its deploy's to ask, with the key: until the hold is over it is not.

        One of a route of connections is asked all the same: a connection has no place for a key.
        """
        if not self._waits(own):
            return False
        services = self._desired.services_of(own.registry_name)
        by_key = any(not route.tcp for name in services for route in self._desired.routes_of(name))
        if by_key and self._desired.holds.keeps_out(services, own.instance.address):
            self._push(self._again, now + self._timing.ready_retry_max, own)
            return False
        return True

    def _waits(self, own: _Waiting) -> bool:
        """Whether it is needed still, and has not been marked ready; a critical one waits for its own check."""
        if not self._desired.instances.known(own.registry_name):
            return False
        current = self._waiting.get(own.registry_name, {}).get(identity(own.instance))
        return current is own and not _critical(own.instance)

    async def _ask(self, own: _Waiting) -> None:
        try:
            own.seen = await self._answer(own)
        except Exception:
            # A bug, which is reported; this instance must not wait for ever for it.
            self._push(self._again, time.monotonic() + self._timing.ready_retry_max, own)
            raise
        finally:
            self._asking -= 1
        if self._waits(own):
            if own.seen:
                now = time.monotonic()
                self._push(self._again, now + pause(now - own.since, self._timing), own)
            else:
                self.mark_ready(own.registry_name, [identity(own.instance)])
                self._loop.enqueue(self._desired.services_of(own.registry_name), own.notified_at)
        self._dispatch()

    async def _answer(self, own: _Waiting) -> str:
        checks = self._checks(own.registry_name)
        if checks is None:
            return "it has no route yet"
        addresses = self._desired.hosts.resolve(own.instance.address)
        if not addresses:
            return "its host name is unknown"
        if not own.restored.isdisjoint(addresses):
            return ""
        for check in checks:
            for address in addresses:
                seen = await ask(address, check, self._timing.ready_answer)
                if seen:
                    return seen
        return ""

    def _checks(self, registry_name: str) -> tuple[RouteCheck, ...] | None:
        """What the routes of a service demand; None where there is no route."""
        known = (route for name in self._desired.services_of(registry_name) for route in self._desired.routes_of(name))
        routes = [route for route in known if route.registry_name == registry_name]
        return tuple({check for check in map(route_check, routes) if check}) if routes else None

    def _report(self, now: float) -> None:
        while self._reports and self._reports[0][0] <= now:
            own = heapq.heappop(self._reports)[2]
            if not self._waits(own):
                continue
            # Who was not asked yet, among very many, is not to blame.
            if own.seen:
                detail = unanswered(now - own.since, own.seen)
                for service in self._desired.services_of(own.registry_name):
                    self._events.publish("instance-waiting", service, address=own.instance.address, detail=detail)
            again = self._timing.ready_report_again if own.seen else self._timing.ready_report
            self._push(self._reports, now + again, own)

    def _set_waiting(self, registry_name: str, waiting: Mapping[Identity, _Waiting]) -> None:
        if waiting:
            self._waiting[registry_name] = dict(waiting)
        else:
            self._waiting.pop(registry_name, None)
        since = {own.instance.address: own.since for own in waiting.values() if not _critical(own.instance)}
        self._desired.instances.set_not_ready(registry_name, since)


def identity(instance: Instance) -> Identity:
    """What stays the same for as long as an entry is of the same container."""
    return instance.id, instance.address


def pause(waited: float, timing: Timing) -> float:
    """Seconds until an instance is asked again: in proportion to its age, so that none joins much later than it could.

    :param waited: for how many seconds it has not answered.
    """
    return min(max(waited * _PAUSE_SHARE, timing.ready_retry_min), timing.ready_retry_max)


def unanswered(seconds: float, seen: str) -> str:
    """What is reported of an instance that waits."""
    return f"has not answered yet ({seconds:.0f} s)" + (f": {seen}" if seen else "")


def _critical(instance: Instance) -> bool:
    return instance.status == CRITICAL


def _can_listen(instance: Instance) -> bool:
    return instance.address.has_port

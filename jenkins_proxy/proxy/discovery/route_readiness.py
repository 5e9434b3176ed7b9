"""Waits until a route that is put would be answered: for its new instances, of which others may come meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy.aio import cancel_all
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.discovery.asking import ask
from jenkins_proxy.proxy.discovery.readiness import Identity, ReadinessGate, identity, pause, unanswered
from jenkins_proxy.proxy.reconcile.instances import Reading, Resolve, drained, live
from jenkins_proxy.proxy.route_check import RouteCheck, route_check
from jenkins_proxy.proxy.timing import Timing

_READ_AGAIN = 1.0


@dataclass(frozen=True)
class Readiness:
    """The instances behind a route.

    :ivar reading: all that are registered.
    :ivar ready: those that may serve.
    :ivar waiting: what is reported of each that has not answered.
    """

    reading: Reading
    ready: Collection[Identity]
    waiting: Sequence[str]


class RouteReadiness:
    """One wait, for one route.

    :param serving: the numeric addresses that serve now.
    :param slots: bounds how many instances are asked at once by all such waits.
    """

    def __init__(
        self,
        route: Route,
        gate: ReadinessGate,
        resolve: Resolve,
        drained_ids: Mapping[Address, str],
        *,
        serving: Collection[Address],
        slots: asyncio.Semaphore,
        timing: Timing,
    ) -> None:
        self._route = route
        self._check = route_check(route)
        self._gate = gate
        self._resolve = resolve
        self._drained_ids = drained_ids
        self._serving = frozenset(serving)
        self._slots = slots
        self._timing = timing
        self._began = time.monotonic()
        self._first_ready: float | None = None
        self._fit: dict[Identity, Instance] = {}
        self._asking: dict[Identity, asyncio.Task[None]] = {}
        self._seen: dict[Identity, str] = {}

    async def wait(self, reading: Reading, read: Callable[[], Awaitable[Reading]], seconds: float) -> Readiness:
        """Return when all live instances have answered, or enough of them after a while, or the time is over.

        :param reading: those that are registered; ``read`` gives them anew, as a container may be started again.
        :param seconds: to wait for the first one.
        """
        read_at = self._began
        self._ask_new(reading.instances)
        try:
            while True:
                waiting = [who for who in self._fit if not self._is_ready(who)]
                now = time.monotonic()
                left = self._deadline(waiting, now, seconds) - now
                if not waiting or left <= 0:
                    return self._result(reading, now)
                asking = [self._asking[who] for who in waiting]
                await asyncio.wait(asking, timeout=min(left, _READ_AGAIN), return_when=asyncio.FIRST_COMPLETED)
                if time.monotonic() - read_at >= _READ_AGAIN:
                    reading, read_at = await read(), time.monotonic()
                    self._ask_new(reading.instances)
        finally:
            await cancel_all(self._asking.values())

    def _ask_new(self, instances: Sequence[Instance]) -> None:
        self._fit = {
            identity(instance): instance
            for instance in live(instances)
            if not drained(instance, self._drained_ids) and self._resolve(instance.address)
        }
        for who, instance in self._fit.items():
            if who not in self._asking and self._check and not self._knows(instance):
                self._asking[who] = asyncio.create_task(self._ask_until_ready(who, instance, self._check))

    def _knows(self, instance: Instance) -> bool:
        """Whether an instance serves, or has answered before."""
        if not self._serving.isdisjoint(self._resolve(instance.address)):
            return True
        return self._gate.is_ready(self._route.registry_name, instance)

    def _is_ready(self, who: Identity) -> bool:
        return who not in self._asking or self._asking[who].done()

    def _deadline(self, waiting: Collection[Identity], now: float, seconds: float) -> float:
        """The monotonic time until which it is worth to wait."""
        if len(waiting) == len(self._fit):
            return self._began + max(seconds, self._timing.ready_others)
        if self._serving:
            return max(map(self._since, waiting), default=now) + self._timing.ready_wait
        # Until then users get nothing at all.
        self._first_ready = self._first_ready or now
        return self._first_ready + self._timing.ready_others

    async def _ask_until_ready(self, who: Identity, instance: Instance, check: RouteCheck) -> None:
        for address in self._resolve(instance.address):
            while True:
                async with self._slots:
                    self._seen[who] = await ask(address, check, self._timing.ready_answer)
                if not self._seen[who]:
                    break
                await asyncio.sleep(pause(time.monotonic() - self._began, self._timing))

    def _result(self, reading: Reading, now: float) -> Readiness:
        ready = {who for who in self._fit if self._is_ready(who)}
        waiting = [
            f"{instance.address} {unanswered(now - self._since(who), self._seen.get(who, ''))}"
            for who, instance in self._fit.items()
            if who not in ready
        ]
        return Readiness(reading, ready, waiting)

    def _since(self, who: Identity) -> float:
        return min(self._began, self._gate.waiting_since(self._route.registry_name, self._fit[who]))

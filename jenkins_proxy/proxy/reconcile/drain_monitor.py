"""Looks whether requests are in flight on drained instances, and has it published for who waits at another proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from enum import StrEnum

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.backend import ServerState, addresses
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import Drains
from jenkins_proxy.proxy.timing import DEFAULT, Timing

Drain = tuple[str, Address, str]
"""A service, the address of its instance, and the instance's ID."""


class InFlight(StrEnum):
    """What is under way on an instance."""

    REQUESTS = "requests"
    STREAMS = "streams"
    """Nothing but streams, which may never end."""
    NOTHING = ""


class DrainMonitor:
    """Looks while there are drained instances that are not known to be idle. One that is idle stays so: it gets no new
    request until it is resumed."""

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        haproxy: HAProxy,
        heartbeat: Heartbeat,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._haproxy = haproxy
        self._heartbeat = heartbeat
        self._timing = timing
        self._known: dict[Drain, InFlight] = {}
        self._drains: Drains = {}
        self._wake = asyncio.Event()
        heartbeat.busy = self.busy
        loop.on_round = self._on_round

    def busy(self) -> dict[str, dict[str, str]]:
        """What is in flight on drained instances, by service and address. Of one that nobody has looked at since it
        is drained, requests: what is published with the drain itself must not say that it is idle."""
        return busy(self._desired.drains, self._known)

    async def run(self) -> None:
        """Look, until cancelled."""
        pause = self._timing.idle_poll_min
        while True:
            if not self.busy():
                await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._wake.wait(), pause)
                pause = self._timing.idle_poll_min
            self._wake.clear()
            before = self.busy()
            await self._look()
            if self.busy() != before:
                self._heartbeat.touch()
            pause = min(pause * 1.5, self._timing.idle_poll_max)

    def _on_round(self) -> None:
        # At once: what is resumed and drained again gets requests in between.
        drains = self._desired.drains
        if drains != self._drains:
            drained = set(_drained(drains))
            self._known = {drain: seen for drain, seen in self._known.items() if drain in drained}
            self._drains = drains
        self._wake.set()

    async def _look(self) -> None:
        for drain in _drained(self._desired.drains):
            service, address, _id = drain
            numeric, running = self._desired.hosts.resolve(address), self._loop.running(service)
            # Until HAProxy has the drain, requests may come yet.
            serves = not addresses(running, ServerState.SERVING).isdisjoint(numeric)
            if self._known.get(drain) is InFlight.NOTHING or serves:
                continue
            # While HAProxy is started again it says nothing; the next time will do.
            with contextlib.suppress(ProxyError):
                before = self._drains
                seen = await self._in_flight(service, numeric) if running else InFlight.NOTHING
                # What was resumed and drained again meanwhile is looked at anew.
                if self._drains is before:
                    self._known[drain] = seen

    async def _in_flight(self, service: str, numeric: tuple[Address, ...]) -> InFlight:
        backend = backend_name(service)
        names = [f"{backend}/{server_name(address)}" for address in numeric]
        if await self._haproxy.in_flight.idle(backend, names):
            return InFlight.NOTHING
        return InFlight.STREAMS if await self._haproxy.in_flight.only_streams(backend, names) else InFlight.REQUESTS


def busy(drains: Drains, known: Mapping[Drain, InFlight]) -> dict[str, dict[str, str]]:
    """What is in flight on drained instances, by service and address. Pure.

    :param known: what was seen since each was drained.
    """
    found: dict[str, dict[str, str]] = {}
    for drain in _drained(drains):
        in_flight = known.get(drain, InFlight.REQUESTS)
        if in_flight is not InFlight.NOTHING:
            service, address, _id = drain
            found.setdefault(service, {})[str(address)] = str(in_flight)
    return found


def _drained(drains: Drains) -> list[Drain]:
    return [(service, address, identity) for service, ids in drains.items() for address, identity in ids.items()]

"""Brings HAProxy to what is known, round after round.

A change enqueues services; a round takes all that are queued and does the least that makes HAProxy serve what they
should be. The first change goes at once, and what comes meanwhile goes together in the next round, so that any number
of changes of routes costs one reload more at the most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from jenkins_proxy.errors import JenkinsProxyError, ProxyError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applied, Applier
from jenkins_proxy.proxy.haproxy.diff import Running
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState

_RETRY = 1.0


class ReconcileLoop:
    """The loop.

    :param on_reconciled: called after each round that did not fail.
    :ivar index: of the store, up to which its routes are served.
    :ivar problem: why the last round failed, in one line; empty when it did not.
    :ivar refused: why HAProxy refused routes, by service.
    """

    def __init__(
        self, applier: Applier, desired: DesiredState, events: EventBus, on_reconciled: Callable[[], None]
    ) -> None:
        self._applier = applier
        self._desired = desired
        self._events = events
        self._on_reconciled = on_reconciled
        self._pending: dict[str, float] = {}
        self._force = False
        self._waiters: list[asyncio.Future] = []
        self._wake = asyncio.Event()
        self.index = 0
        self.problem = ""
        self.refused: dict[str, str] = {}

    def enqueue(self, services: Iterable[str], notified_at: float = 0.0) -> None:
        """These may have to change.

        :param notified_at: the monotonic time at which the registry told, for the measure of the time to rotation.
        """
        for name in services:
            self._pending[name] = self._pending.get(name) or notified_at
            self._wake.set()

    def force(self) -> None:
        """Let the next round reload, whatever it finds."""
        self._force = True
        self._wake.set()

    async def reconcile(self, services: Iterable[str] = ()) -> None:
        """Mark services, and return when a round that has seen them is over.

        :raises ProxyError: when HAProxy did not take it.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self.enqueue(services)
        self._wake.set()
        await done

    async def run(self) -> None:
        """Go round, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pending, self._pending = self._pending, {}
            waiters, self._waiters = self._waiters, []
            force, self._force = self._force, False
            index = self._desired.index
            try:
                await self._round(pending, force)
            except Exception as error:
                # Also what nobody foresaw: one round that fails must not be the last one.
                self._fail(error, waiters)
                await asyncio.sleep(_RETRY)
                self._force = self._force or force
                self.enqueue(pending)
                self._wake.set()
            else:
                self.index = index
                self.problem = ""
                _resolve(waiters, None)
                self._on_reconciled()

    async def _round(self, pending: Mapping[str, float], force: bool) -> None:
        before = dict(self._applier.running)
        wanted = self._desired.backends(pending, before)
        applied = await self._applier.apply(wanted, pending, self._everything, force=force)
        # A reload takes in what others have become since, too.
        concerned = before.keys() | self._applier.running.keys() if applied.reloaded else pending
        self._tell(applied, before, concerned, pending)

    def _everything(self) -> Mapping:
        return self._desired.backends(self._desired.routes, self._applier.running)

    def _tell(
        self, applied: Applied, before: Mapping[str, Running], services: Iterable[str], pending: Mapping[str, float]
    ) -> None:
        now = time.monotonic()
        if applied.reloaded:
            self._refuse(applied.refused)
            self._events.publish("reload", detail=f"version {self._applier.version}", seconds=applied.seconds)
        for name in services:
            was, runs = (_serving(state.get(name)) for state in (before, self._applier.running))
            for address in sorted(runs - was):
                self._events.publish("instance-up", name, address=address)
                if pending.get(name):
                    self._events.publish("in-rotation", name, address=address, seconds=now - pending[name])
            for address in sorted(was - runs):
                self._events.publish("instance-down", name, address=address)

    def _refuse(self, refused: Mapping[str, str]) -> None:
        for name, reason in refused.items():
            if self.refused.get(name) != reason:
                self._events.publish("route-refused", name, detail=reason)
        self.refused = dict(refused)

    def _fail(self, error: Exception, waiters: list[asyncio.Future]) -> None:
        told = error if isinstance(error, JenkinsProxyError) else ProxyError(f"a change failed by a bug: {error!r}")
        if self.problem != told.message:
            self._events.publish("reload-failed", detail=told.message)
        self.problem = told.message
        _resolve(waiters, told)


def _serving(running: Running | None) -> frozenset[Address]:
    return running.serving if running else frozenset()


def _resolve(waiters: Iterable[asyncio.Future], error: Exception | None) -> None:
    for waiter in waiters:
        # One that gave up waiting is done already.
        if not waiter.done():
            waiter.set_exception(error) if error else waiter.set_result(None)

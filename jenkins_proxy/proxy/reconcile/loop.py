"""Brings HAProxy to the desired state, round after round.

A change enqueues services; a round takes all that are queued and does the least that makes HAProxy serve what they
should be. The first change goes at once, and what comes meanwhile goes together in the next round, so that any number
of changes of routes costs one reload more at the most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from jenkins_proxy.errors import JenkinsProxyError, ProxyError
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState, addresses
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)


class ReconcileLoop:
    """The queue of services that may have to change, and the one task that works on it.

    :ivar index: of the store, up to which its routes are served; ``holds_index`` and ``drains_index`` likewise.
    :ivar caught_up: awaited before each round: whoever follows the registry may be about to know more.
    :ivar on_round: called after each round that HAProxy took.
    :ivar problem: why the last round failed, in one line; empty when it did not.
    :ivar refused: why HAProxy refused routes, by service.
    """

    def __init__(
        self,
        desired: DesiredState,
        applier: Applier,
        *,
        events: EventBus,
        heartbeat: Heartbeat,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._applier = applier
        self._events = events
        self._heartbeat = heartbeat
        self._timing = timing
        self._pending: dict[str, float] = {}
        self._force = False
        self._waiters: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self.index = 0
        self.holds_index = 0
        self.drains_index = 0
        self._awaiting: set[str] = set()
        self.caught_up: Callable[[], Awaitable[None]] = _at_once
        self.on_round: Callable[[], None] = lambda: None
        self.problem = ""
        self.refused: dict[str, str] = {}

    async def start(self, version: int, probe_key: str) -> None:
        """Start HAProxy with what is known before the registry has reported.

        :raises UsageError: when HAProxy is missing, too old, or cannot bind.
        """
        applied = await self._applier.start(self._desired.backends(self._desired.services, {}), version, probe_key)
        self.refused = dict(applied.refused)
        self._find_awaiting(self._desired.services)
        self._report_served()

    def enqueue(self, services: Iterable[str], notified_at: float = 0.0) -> None:
        """These may have to change.

        :param notified_at: the monotonic time at which the registry reported, to measure the time to rotation; 0 leaves
            it unmeasured.
        """
        for name in services:
            self._pending[name] = self._pending.get(name) or notified_at
            self._wake.set()

    def running(self, service: str) -> Backend | None:
        """What HAProxy runs for a service."""
        return self._applier.running.get(service)

    def index_changed(self) -> None:
        """The store's index changed, whatever it reports: once that is served the other proxies get to know it."""
        self._wake.set()

    def force(self) -> None:
        """Let the next round reload, whatever it finds."""
        self._force = True
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Whether nothing is known to be wrong with what HAProxy runs."""
        return not self._force and not self.problem

    def haproxy_died(self, reason: str) -> None:
        """HAProxy ended by itself. It starts again from its files: where these are behind, as on a full disk, servers
        are changed, and a reload mends the rest."""
        self._events.publish("haproxy-died", detail=reason)
        self.enqueue(self._desired.services)
        self.force()

    async def reconcile(self, services: Iterable[str] = ()) -> None:
        """Enqueue services, and return when a round that has seen them is over.

        :raises ProxyError: when HAProxy did not take it.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self.enqueue(services)
        self._wake.set()
        await done

    async def run(self) -> None:
        """Reconcile what is enqueued, until cancelled."""
        while True:
            await self._wake.wait()
            await self.caught_up()
            self._wake.clear()
            pending, self._pending = self._pending, {}
            waiters, self._waiters = self._waiters, []
            force, self._force = self._force, False
            index, holds_index, drains_index = (
                self._desired.index,
                self._desired.holds.index,
                self._desired.drains_index,
            )
            try:
                await self._round(pending, force)
            except Exception as error:
                # Also what nobody foresaw: one round that fails must not be the last one.
                self._fail(error, waiters)
                await asyncio.sleep(self._timing.reconcile_retry)
                self._force = self._force or force
                self.enqueue(pending)
                self._wake.set()
            else:
                self.index, self.holds_index, self.drains_index = index, holds_index, drains_index
                self.problem = ""
                _resolve(waiters, None)
                self._report_served()
                self.on_round()

    async def _round(self, pending: Mapping[str, float], force: bool) -> None:
        before = dict(self._applier.running)
        desired = self._desired.backends(pending, before)
        applied = await self._applier.apply(desired, pending, self._all_backends, force=force)
        if applied.reloaded:
            self._refuse(applied.refused)
            self._events.publish("reload", detail=f"version {self._applier.version}", seconds=applied.seconds)
        # A reload takes in what other services have become since, too.
        changed = before.keys() | self._applier.running.keys() if applied.reloaded else pending
        self._publish_changes(before, changed, pending)
        self._find_awaiting(changed)

    def _all_backends(self) -> Mapping[str, Backend]:
        return self._desired.backends(self._desired.services, self._applier.running)

    def _find_awaiting(self, services: Iterable[str]) -> None:
        for name in services:
            awaits = self._desired.awaits_instances(name, self._applier.running.get(name))
            (self._awaiting.add if awaits else self._awaiting.discard)(name)

    def _report_served(self) -> None:
        self._heartbeat.update(
            version=self._applier.version,
            index=self.index,
            holds=self.holds_index,
            drains=self.drains_index,
            awaiting=self._awaiting,
        )

    def _publish_changes(
        self, before: Mapping[str, Backend], services: Iterable[str], notified: Mapping[str, float]
    ) -> None:
        now = time.monotonic()
        for name in services:
            served = addresses(before.get(name), ServerState.SERVING)
            serving = addresses(self._applier.running.get(name), ServerState.SERVING)
            for address in sorted(serving - served):
                self._events.publish("instance-up", name, address=address)
                if notified.get(name):
                    self._events.publish("in-rotation", name, address=address, seconds=now - notified[name])
            for address in sorted(served - serving):
                self._events.publish("instance-down", name, address=address)

    def _refuse(self, refused: Mapping[str, str]) -> None:
        for name, reason in refused.items():
            if self.refused.get(name) != reason:
                self._events.publish("route-refused", name, detail=reason)
        self.refused = dict(refused)

    def _fail(self, error: Exception, waiters: Iterable[asyncio.Future[None]]) -> None:
        if isinstance(error, JenkinsProxyError):
            reported: JenkinsProxyError = error
        else:
            _LOG.error("a round failed by a bug", exc_info=error)
            reported = ProxyError(f"a change failed by a bug: {error!r}")
        if self.problem != reported.message:
            self._events.publish("reload-failed", detail=reported.message)
        self.problem = reported.message
        _resolve(waiters, reported)


async def _at_once() -> None:
    pass


def _resolve(waiters: Iterable[asyncio.Future[None]], error: Exception | None) -> None:
    for waiter in waiters:
        # A caller that gave up waiting has cancelled its future.
        if waiter.done():
            continue
        if error:
            waiter.set_exception(error)
        else:
            waiter.set_result(None)

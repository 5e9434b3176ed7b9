"""Watches holds in the registry's key-value store, and enqueues the services that they change."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate, identity
from jenkins_proxy.proxy.discovery.route_watcher import RouteWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.holds import Hold, Holds
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.validation import few


class HoldWatcher:
    """Brings the holds of the store into the desired state."""

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: HoldStore,
        routes: RouteWatcher,
        readiness: ReadinessGate,
        reachability: Reachability,
        events: EventBus,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._store = store
        self._routes = routes
        self._readiness = readiness
        self._reachability = reachability
        self._events = events
        self._tasks = tasks
        self._wait = timing.blocking_query

    def start(self) -> None:
        """Watch, until the tasks are ended."""
        self._tasks.keep("the watch of holds", self._watch)

    def holds_changed(self, before: Mapping[str, Hold], services: Iterable[str]) -> None:
        """The holds of these services changed.

        :param before: all holds as they were.
        """
        for service in services:
            hold = self._desired.holds.get(service)
            self._publish(service, before.get(service), hold)
            if hold and hold.promoted:
                self._mark_ready(hold)
        self._routes.services_changed(services)

    async def _watch(self) -> None:
        query = functools.partial(self._store.holds, wait=self._wait)
        async for snapshot, index_changed in self._reachability.watch(query):
            if self._ends_one(snapshot):
                # The route that it leaves behind was stored before, but is watched apart. Nobody has told yet whether
                # it was promoted: that may have come and gone since the last answer.
                await self._reachability.retry_forever(self._routes.read)
            before = dict(self._desired.holds.all)
            store_id = self._desired.holds.store_id
            changed, missing = self._desired.take_holds(snapshot)
            # Consul answers a query of a folder without keys after every change of any key: also after what this proxy
            # writes when it was answered.
            if missing or not snapshot.store_id:
                self._tasks.start(self._restore(missing))
            if changed:
                self.holds_changed(before, changed)
            if index_changed:
                self._loop.index_changed()
            if self._desired.holds.store_id != store_id:
                self._routes.services_changed(())

    def _ends_one(self, snapshot: Holds) -> bool:
        stays = {hold.id for hold in snapshot.holds.values()}
        return any(hold.id not in stays for hold in self._desired.holds.all.values())

    async def _restore(self, missing: Iterable[Hold]) -> None:
        """The registry lost its data: give it our holds back, and then the ID that says that they are all there."""
        with contextlib.suppress(RegistryError):
            for hold in missing:
                stored = await self._store.restore(hold)
                if stored:
                    self._desired.put_hold(stored)
            await self._store.put_store_id()

    def _mark_ready(self, hold: Hold) -> None:
        """What a deploy has promoted serves on when its hold ends, whatever the route's own check would say of it."""
        for name in self._desired.names_of(hold.service):
            known = self._desired.instances.known(name)
            self._readiness.mark_ready(name, [identity(own) for own in known if own.address in hold.serving])

    def _publish(self, service: str, before: Hold | None, after: Hold | None) -> None:
        if after is None:
            if before:
                self._events.publish("hold-ended", service, detail=before.id)
        elif after.promoted:
            self._events.publish("hold-promoted", service, detail=f"{after.id}: {few(after.serving)}")
        else:
            verb = "goes back to what served before" if before and before.id == after.id else f"by {after.holder.text}"
            self._events.publish("hold-put", service, detail=f"{after.id} {verb}")

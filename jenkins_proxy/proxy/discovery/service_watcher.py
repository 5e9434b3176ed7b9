"""Follows the instances of many services with blocking queries, within a number of connections.

Consul serves 200 connections of one client address by default, and a query that its asker gave up can keep counting
until its wait is over. So no query is cancelled while the daemon runs, and there is a fixed number of *slots*, each
with a dedicated watch of one service. Services without a slot share a :class:`CatalogWatcher`: it reports which of
them changed, or that some did, and then a sweep over their indexes finds which; each of these is read at once, over a
few kept-alive connections. A slot goes over to a service that changed more recently than its own when its own has been
quiet for a wait.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import SWEEPERS, AsyncConsul
from jenkins_proxy.model import Instance
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.catalog_watcher import CONNECTIONS, EVERY, CatalogWatcher
from jenkins_proxy.proxy.reconcile.instances import Reading
from jenkins_proxy.proxy.timing import DEFAULT, Timing

OnReport = Callable[[str, Reading, float], None]

# So many slots whose queries all end in one wait are work enough for nothing: more of them wait longer.
_SLOTS_A_WAIT = 300
_OTHERS = 8
_READERS = 4
# So many are asked for their index at once. What changes meanwhile is asked again when its turn comes round.
_AT_ONCE = 500


@dataclass
class _Batch:
    """Services that were asked for their index at once.

    :ivar notified_at: when the registry first reported a change after that; None while it has not.
    """

    begin: float
    notified_at: float | None = None


_NEVER = _Batch(0.0, 0.0)


class ServiceWatcher:
    """Reports the instances of services, at first and after each change, from the first :meth:`follow` on.

    :param on_report: called with a service, its instances and the monotonic time at which the registry reported them;
        also when they are as before: whoever has read them apart may have others, that came and went in between.
    :param tasks: the group that the watches run in.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        reachability: Reachability,
        on_report: OnReport,
        *,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
    ) -> None:
        self._registry = registry
        self._reach = reachability
        self._on_report = on_report
        self._tasks = tasks
        self._timing = timing
        # How many more slots there may be, once it is known what the registry has room for.
        self._free = 0
        self._counting = self._counted = False
        self._catalog: CatalogWatcher | None = None
        self._followed: frozenset[str] = frozenset()
        self._slotted: set[str] = set()
        # Services without a slot, and those of them that are to be read, with the time of the change.
        self._waiting: set[str] = set()
        self._unread: dict[str, float] = {}
        self._reading: set[str] = set()
        self._to_read = asyncio.Event()
        # The index at which each service was read, in which batch it was asked for it, and the batches since which
        # the registry has reported no change.
        self._index: dict[str, int] = {}
        self._asked: dict[str, _Batch] = {}
        self._fresh: list[_Batch] = []
        self._to_sweep = asyncio.Event()
        self._reported: dict[str, Reading] = {}
        self._changed_at: dict[str, float] = {}

    def follow(self, services: Collection[str]) -> None:
        """Follow exactly these from now on."""
        new = set(services) - self._followed
        self._followed = frozenset(services)
        # A slot still watches a service that was given up a moment ago.
        for name in new & self._slotted & self._reported.keys():
            self._on_report(name, self._reported[name], time.monotonic())
        self._waiting &= self._followed
        self._add_waiting(new - self._slotted)
        for name in self._reported.keys() - self._followed - self._slotted:
            self._forget(name)
        if self._counted:
            self._fill_slots()
            self._read(new & self._waiting, time.monotonic())
        elif not self._counting:
            self._counting = True
            self._tasks.keep("the count of watches", self._count)

    async def _count(self) -> None:
        """Some of what the registry has room for is left for the store's watches and the API's calls."""
        capacity = await self._reach.retry_forever(self._registry.capacity)
        self._free = max(4, capacity - _OTHERS - _READERS - SWEEPERS - CONNECTIONS)
        self._counted = True
        self._fill_slots()
        self._read(self._waiting, time.monotonic())

    def _fill_slots(self) -> None:
        if len(self._waiting) > self._free:
            self._share()
        while self._waiting and self._free > 0:
            self._free -= 1
            self._tasks.start(self._slot(self._pop_latest()))

    def _share(self) -> None:
        if self._catalog is None:
            for_nodes = (self._free + len(self._slotted)) * 3 // 4
            self._catalog = CatalogWatcher(
                self._registry,
                self._reach,
                self._services_changed,
                tasks=self._tasks,
                max_nodes=for_nodes,
                timing=self._timing,
            )
            # Where all were slots already, some have to end before nodes are watched.
            self._free -= for_nodes
            self._catalog.start()
            self._watch_nodes_when_free()
            self._tasks.keep("the sweep over services", self._keep_sweeping)
            for number in range(_READERS):
                self._tasks.keep(f"reader {number} of services", self._keep_reading)

    def _watch_nodes_when_free(self) -> None:
        if self._catalog and self._free >= 0:
            self._catalog.watch_nodes()

    async def _slot(self, service: str) -> None:
        while True:
            self._slotted.add(service)
            await self._tasks.supervise(f"the watch of {service}", functools.partial(self._watch, service))
            self._slotted.remove(service)
            if service in self._followed:
                self._add_waiting({service})
                # Between its last answer and now nobody watched it.
                self._read({service}, time.monotonic())
            else:
                self._forget(service)
            if not self._waiting or self._free < 0:
                self._free += 1
                self._watch_nodes_when_free()
                return
            service = self._pop_latest()

    async def _watch(self, service: str) -> None:
        """Follow one service, until it is followed no longer, or is quiet while another one waits that is not."""
        index = 0
        while True:
            instances, index = await self._reach.answer(functools.partial(self._ask, service), index)
            changed = self._report(service, Reading(tuple(instances), index), time.monotonic())
            if service not in self._followed or self._free < 0 or not changed and self._other_is_livelier(service):
                return

    def _ask(self, service: str, *, index: int) -> Awaitable[tuple[Sequence[Instance], int]]:
        wait = self._timing.blocking_query * max(1.0, len(self._slotted) / _SLOTS_A_WAIT)
        return self._registry.instances(service, index=index, wait=wait)

    def _add_waiting(self, services: Collection[str]) -> None:
        self._waiting.update(services)
        for name in services:
            self._asked.setdefault(name, _NEVER)

    def _pop_latest(self) -> str:
        """The waiting service that changed last."""
        service = max(sorted(self._waiting), key=self._last_change)
        self._waiting.remove(service)
        return service

    def _other_is_livelier(self, service: str) -> bool:
        own = self._last_change(service)
        return any(self._last_change(other) > own for other in self._waiting)

    def _last_change(self, service: str) -> float:
        return self._changed_at.get(service, 0.0)

    def _services_changed(self, services: Collection[str] | None) -> None:
        if services is EVERY:
            for batch in self._fresh:
                batch.notified_at = time.monotonic()
            self._fresh.clear()
            self._to_sweep.set()
        else:
            self._read(self._waiting.intersection(services), time.monotonic())

    def _read(self, services: Collection[str], notified_at: float) -> None:
        for name in services:
            self._unread.setdefault(name, notified_at)
        self._to_read.set()

    async def _keep_sweeping(self) -> None:
        unrested = 0
        while True:
            due = self._due()
            if not due:
                unrested = 0
                self._to_sweep.clear()
                await self._to_sweep.wait()
                continue
            begin = time.monotonic()
            on_index = functools.partial(
                self._read_if_changed, {name: self._asked[name].notified_at or begin for name in due}
            )
            batch = _Batch(begin)
            self._fresh.append(batch)
            for name in due:
                # At the end: those that were asked the longest ago stand at the front.
                del self._asked[name]
                self._asked[name] = batch
            try:
                await self._reach.retry_forever(functools.partial(self._registry.service_indexes, due, on_index))
            except Exception:
                batch.notified_at = begin  # they are due again
                raise
            unrested += len(due)
            # Where changes never end, some of the registry's time is left to others.
            if unrested > len(self._waiting):
                await asyncio.sleep((time.monotonic() - begin) / 10)

    def _due(self) -> list[str]:
        """Services that may have changed since they were asked last, the longest ago first; a batch at the most."""
        due = (name for name, batch in self._asked.items() if batch.notified_at is not None and name in self._waiting)
        return list(itertools.islice(due, _AT_ONCE))

    def _read_if_changed(self, notified_at: Mapping[str, float], service: str, index: int) -> None:
        if index != self._index.get(service):
            self._read({service}, notified_at[service])

    async def _keep_reading(self) -> None:
        while True:
            # One reader a service: of two answers the older could come last.
            while (name := next((one for one in self._unread if one not in self._reading), None)) is None:
                self._to_read.clear()
                await self._to_read.wait()
            notified_at = self._unread.pop(name)
            self._reading.add(name)
            try:
                await self._read_one(name, notified_at)
            except Exception:
                self._unread.setdefault(name, notified_at)  # after all others
                raise
            finally:
                self._reading.remove(name)
                self._to_read.set()

    async def _read_one(self, name: str, notified_at: float) -> None:
        instances, index = await self._reach.retry_forever(functools.partial(self._registry.instances, name))
        # A service that got a slot in between is reported by it: this answer may be older than its.
        if name in self._waiting:
            self._index[name] = index
            self._report(name, Reading(tuple(instances), index), notified_at)
            if self._catalog:
                self._catalog.compare(name, instances, index)

    def _report(self, service: str, reading: Reading, notified_at: float) -> bool:
        """Report the instances of a service. :return: whether they changed."""
        before = self._reported.get(service)
        if before and before.instances == reading.instances:
            # What is the same stays the same object: there may be tens of thousands.
            reading = Reading(before.instances, reading.index)
        if service in self._followed and reading != before:
            self._on_report(service, reading, notified_at)
        # Only now: what could not be taken is reported again.
        self._reported[service] = reading
        if before and before.instances is reading.instances:
            return False
        if before:
            self._changed_at[service] = notified_at
        return True

    def _forget(self, service: str) -> None:
        self._reported.pop(service, None)
        self._changed_at.pop(service, None)
        self._index.pop(service, None)
        self._asked.pop(service, None)

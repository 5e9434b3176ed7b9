"""Keeps the registry's entries equal to the desired ones: one task for each entry that differs."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.registrator import service_entries
from jenkins_proxy.registrator.service_entries import ServiceEntry
from jenkins_proxy.retry import Backoff

_LOG = logging.getLogger(__name__)

_ALWAYS_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL}


@dataclass(frozen=True)
class Timing:
    """The times of the registrator, in seconds.

    :ivar compare_every: between two comparisons when nothing gives a reason for one.
    :ivar registry_wait: how long a query waits for a change of the registry.
    :ivar stops_within: after which a container that was told to stop and still runs counts as running again.
    :ivar health_every: after which an unchanged health is reported again, well before its check's time to live ends.
    :ivar catalog_within: after which an entry that the agent has is looked for in the catalog, and looked for again.
    :ivar catalog_resync: after which one that an agent should have brought there is a fault: Consul's agents compare
        every minute, and every few minutes in a big cluster.
    :ivar min_pause: the first pause after a failed call.
    :ivar max_pause: the longest pause after failed calls.
    """

    compare_every: float = 30.0
    registry_wait: float = 60.0
    stops_within: float = 600.0
    health_every: float = service_entries.HEALTH_TTL / 4
    catalog_within: float = 10.0
    catalog_resync: float = 300.0
    min_pause: float = 0.5
    max_pause: float = 15.0

    def backoff(self) -> Backoff:
        """The pauses after failed calls."""
        return Backoff(self.min_pause, self.max_pause)


class EntrySync:
    """The entries of this host.

    :param hostname: whose entries are removed when they are in the registry and not desired.
    :param ask_to_compare: called when a call failed, and nobody knows what it did.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        desired: DesiredEntries,
        hostname: str,
        ask_to_compare: Callable[[], None],
        timing: Timing,
    ) -> None:
        self._registry, self._desired, self._hostname = registry, desired, hostname
        self._ask_to_compare = ask_to_compare
        self._timing = timing
        self._registered: dict[str, ServiceEntry] = {}
        self._reported: dict[str, tuple[str, float]] = {}
        self._written: dict[str, float] = {}
        self._complaints: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._compared = False

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What is under way."""
        return list(self._tasks.values())

    @property
    def registered(self) -> set[str]:
        """The IDs of the entries that the registry's agent has."""
        return set(self._registered)

    def converge(self, entry_ids: Iterable[str]) -> None:
        """Bring these to what is desired. One that is under way looks again by itself before it ends.

        Until the first comparison nothing is written: an entry that is there from before would be taken for missing,
        and one that moved would inherit its predecessor's health.
        """
        for entry_id in entry_ids if self._compared else ():
            if not self._busy(entry_id):
                self._tasks[entry_id] = task = asyncio.create_task(self._sync(entry_id))
                task.add_done_callback(functools.partial(self._forget_task, entry_id))

    async def compare(self) -> None:
        """See what is really registered, and converge.

        :raises RegistryError: when the registry does not say.
        """
        asked = time.monotonic()
        rows = await self._registry.agent_services()
        checks = await self._registry.agent_checks()
        self._compared = True
        wanted = self._desired.entries()
        for entry_id in {*rows, *wanted, *self._registered}:
            # What was written since we asked is newer than the answer.
            if self._busy(entry_id) or self._written.get(entry_id, 0.0) >= asked:
                continue
            self._on_row(entry_id, wanted.get(entry_id), rows.get(entry_id), checks)
            if entry_id in wanted or entry_id in self._registered:
                self.converge([entry_id])
        self._written = {entry_id: when for entry_id, when in self._written.items() if when >= asked}

    def _on_row(
        self, entry_id: str, wanted: ServiceEntry | None, row: Mapping[str, Any] | None, checks: Mapping[str, Any]
    ) -> None:
        checked = f"service:{entry_id}" in checks
        if row is not None and wanted is not None and wanted.same_as(row) and bool(wanted.check) == checked:
            registered = wanted
        elif row is not None and (wanted is not None or service_entries.ours(row, self._hostname)):
            registered = ServiceEntry.of_row(row, checked=checked)
        else:
            registered = None
        if registered is None:
            self._registered.pop(entry_id, None)
            self._reported.pop(entry_id, None)
        else:
            self._registered[entry_id] = registered

    async def _sync(self, entry_id: str) -> None:
        try:
            while await self._step(entry_id):
                self._written[entry_id] = time.monotonic()
            self._complaints.pop(entry_id, None)
        except RegistryError as error:
            if self._complaints.get(entry_id) != error.message:
                self._complaints[entry_id] = error.message
                _LOG.warning("%s: %s", entry_id, error.message)
            # A refusal is known to have done nothing, and at once again it would be refused again.
            if not isinstance(error, RegistryRefused):
                self._ask_to_compare()

    async def _step(self, entry_id: str) -> bool:
        """Take the next step for an entry, if there is one to take."""
        wanted, there = self._desired.entries().get(entry_id), self._registered.get(entry_id)
        if wanted is None and there is None:
            return False
        if wanted is None or (there and wanted.check and (there.address, there.port) != (wanted.address, wanted.port)):
            # An entry that moved is another instance: registered over the old one, it would inherit its health.
            await self._registry.deregister(entry_id)
            del self._registered[entry_id]
            self._reported.pop(entry_id, None)
            _LOG.info("removed %s", entry_id)
            return True
        if there != wanted:
            await self._registry.register(wanted.as_service())
            self._registered[entry_id] = wanted
            _LOG.info("added %s: %s at %s:%s", entry_id, wanted.name, wanted.address, wanted.port)
            return True
        return await self._report_health(wanted)

    async def _report_health(self, entry: ServiceEntry) -> bool:
        status, when = self._reported.get(entry.id, ("", 0.0))
        now = time.monotonic()
        if not entry.health or (status == entry.health and now - when < self._timing.health_every):
            return False
        await self._registry.update_check(entry.check_id, entry.health, "told by the container's HEALTHCHECK")
        self._reported[entry.id] = (entry.health, now)
        return True

    def _busy(self, entry_id: str) -> bool:
        # A task that is done may still be here: its callback runs later, and it looks at nothing any more.
        return entry_id in self._tasks and not self._tasks[entry_id].done()

    def _forget_task(self, entry_id: str, done: asyncio.Task[None]) -> None:
        if self._tasks.get(entry_id) is done:
            del self._tasks[entry_id]


@dataclass(frozen=True)
class _Running:
    started: str
    stop_signal: str
    entries: tuple[ServiceEntry, ...]


class DesiredEntries:
    """What is to be registered.

    :param clock: seconds that never run backwards.
    """

    def __init__(self, timing: Timing | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._timing = timing or Timing()
        self._clock = clock
        self._running: dict[str, _Running] = {}
        # When each signal was sent last, also to containers that are not inspected yet.
        self._signals: dict[str, dict[int, float]] = {}

    def runs(self, container: Mapping[str, Any], entries: list[ServiceEntry]) -> set[str]:
        """A container runs, with these entries.

        :return: the IDs of the entries that this concerns, as for the other events.
        """
        running = _Running(container["State"]["StartedAt"], container["Config"].get("StopSignal") or "", tuple(entries))
        before = self._running.get(container["Id"])
        self._running[container["Id"]] = running
        return {entry.id for entry in (*running.entries, *(before.entries if before else ()))}

    def started(self, container_id: str) -> None:
        """A container started: an earlier order to stop holds no more."""
        self._signals.pop(container_id, None)

    def killed(self, container_id: str, number: int) -> set[str]:
        """A signal was sent to a container. One that does not stop it, as a SIGHUP, changes nothing."""
        self._signals.setdefault(container_id, {})[number] = self._clock()
        running = self._running.get(container_id)
        return {entry.id for entry in running.entries} if running and _stops(number, running) else set()

    def ended(self, container_id: str) -> set[str]:
        """A container ended."""
        self._signals.pop(container_id, None)
        running = self._running.pop(container_id, None)
        return {entry.id for entry in running.entries} if running else set()

    @property
    def containers(self) -> set[str]:
        """The IDs of the running containers."""
        return set(self._running)

    def entries(self) -> dict[str, ServiceEntry]:
        """The entries by their IDs. A recreated container has the same ones: those of the last one started count."""
        wanted = [running for container_id, running in self._running.items() if not self._ends(container_id, running)]
        wanted.sort(key=lambda running: running.started)
        return {entry.id: entry for running in wanted for entry in running.entries}

    def _ends(self, container_id: str, running: _Running) -> bool:
        since = self._clock() - self._timing.stops_within
        return any(
            when > since and _stops(number, running) for number, when in self._signals.get(container_id, {}).items()
        )


def _stops(number: int, running: _Running) -> bool:
    return number in (*_ALWAYS_STOP, signal_number(running.stop_signal))


def signal_number(text: str) -> int:
    """A container's stop signal, as a Dockerfile may write it: ``SIGQUIT``, ``QUIT``, ``3``; 0 for none."""
    number = validation.whole(text, signal.NSIG)
    if number is not None:
        return number
    name = text.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    return signal.Signals[name].value if name in signal.Signals.__members__ else 0

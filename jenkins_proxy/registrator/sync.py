"""The agent's hand: brings entries of the registry, one task each, to what is desired of them."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.registrator import service_entries
from jenkins_proxy.registrator.service_entries import ServiceEntry

STOPS_WITHIN = 600.0
"""Seconds after which a container that was told to stop and still runs evidently does not mean to."""

_ALWAYS_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL}

_HEALTH_EVERY = service_entries.HEALTH_TTL / 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


class Log(Protocol):
    """Where the agent says what it does; :class:`~jenkins_proxy.console.Console` is one."""

    def step(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...


class EntrySync:
    """The entries of this host.

    :param hostname: whose entries, found in the registry and desired no more, are removed.
    :param ask_to_compare: called when a call failed, and nobody knows what it did.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        desired: DesiredEntries,
        hostname: str,
        log: Log,
        ask_to_compare: Callable[[], None],
    ) -> None:
        self._registry, self._desired, self._hostname, self._log = registry, desired, hostname, log
        self._ask_to_compare = ask_to_compare
        self._registered: dict[str, ServiceEntry] = {}
        self._told: dict[str, tuple[str, float]] = {}
        self._written: dict[str, float] = {}
        self._complaints: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task] = {}
        self._compared = False

    @property
    def tasks(self) -> list[asyncio.Task]:
        """What is under way."""
        return list(self._tasks.values())

    def converge(self, entry_ids: Iterable[str]) -> None:
        """Bring these to what is desired. One that is under way looks again by itself before it ends.

        Until the first comparison nothing is written: an entry that is there from before would be taken for missing,
        and one that moved would inherit its forerunner's health.
        """
        for entry_id in entry_ids if self._compared else ():
            if not self._busy(entry_id):
                self._tasks[entry_id] = task = asyncio.create_task(self._settle(entry_id))
                task.add_done_callback(lambda done, name=entry_id: self._forget_task(name, done))

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
            self._see(entry_id, wanted.get(entry_id), rows.get(entry_id), checks)
            if entry_id in wanted or entry_id in self._registered:
                self.converge([entry_id])
        self._written = {entry_id: when for entry_id, when in self._written.items() if when >= asked}

    def _see(self, entry_id: str, wanted: ServiceEntry | None, row: Mapping[str, Any] | None, checks: Mapping) -> None:
        if row is not None and wanted is not None and wanted.same_as(row):
            found = wanted if bool(wanted.check) == (wanted.check_id in checks) else None
        elif row is not None and (wanted is not None or service_entries.ours(row, self._hostname)):
            found = ServiceEntry(entry_id, row["Service"], row["Address"], row["Port"])
        else:
            found = None
        if found is None:
            self._registered.pop(entry_id, None)
            self._told.pop(entry_id, None)
        else:
            self._registered[entry_id] = found

    async def _settle(self, entry_id: str) -> None:
        try:
            while await self._step(entry_id):
                self._written[entry_id] = time.monotonic()
            self._complaints.pop(entry_id, None)
        except RegistryError as error:
            if self._complaints.get(entry_id) != error.message:
                self._complaints[entry_id] = error.message
                self._log.warning(f"{entry_id}: {error.message}")
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
            self._told.pop(entry_id, None)
            self._log.step(f"removed {entry_id}")
            return True
        if there != wanted:
            await self._registry.register(wanted.as_service())
            self._registered[entry_id] = wanted
            self._log.step(f"added {entry_id}: {wanted.name} at {wanted.address}:{wanted.port}")
            return True
        return await self._tell_health(wanted)

    async def _tell_health(self, entry: ServiceEntry) -> bool:
        status, when = self._told.get(entry.id, ("", 0.0))
        now = time.monotonic()
        if not entry.health or (status == entry.health and now - when < _HEALTH_EVERY):
            return False
        await self._registry.update_check(entry.check_id, entry.health, "told by the container's HEALTHCHECK")
        self._told[entry.id] = (entry.health, now)
        return True

    def _busy(self, entry_id: str) -> bool:
        # A task that is done may still be here: its callback runs later, and it looks at nothing any more.
        return entry_id in self._tasks and not self._tasks[entry_id].done()

    def _forget_task(self, entry_id: str, done: asyncio.Task) -> None:
        if self._tasks.get(entry_id) is done:
            del self._tasks[entry_id]


class Backoff:
    """Growing, jittered pauses between attempts."""

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE

    @property
    def taken(self) -> bool:
        """Whether there was a pause since the last success."""
        return self._next > _FIRST_PAUSE

    def reset(self) -> None:
        self._next = _FIRST_PAUSE

    async def wait(self) -> None:
        pause, self._next = self._next, min(self._next * 2, _LONGEST_PAUSE)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))


@dataclass(frozen=True)
class _Running:
    started: str
    stop_signal: str
    entries: tuple[ServiceEntry, ...]


class DesiredEntries:
    """What is to be registered.

    :param clock: seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._told_to_stop: dict[str, float] = {}

    def run(self, container: Mapping[str, Any], entries: list[ServiceEntry]) -> set[str]:
        """A container runs, with these entries. Gives the IDs of the entries that this concerns."""
        known = _Running(container["State"]["StartedAt"], container["Config"].get("StopSignal") or "", tuple(entries))
        before = self._running.get(container["Id"])
        self._running[container["Id"]] = known
        return {entry.id for entry in (*known.entries, *(before.entries if before else ()))}

    def start(self, container_id: str) -> None:
        """A container started: that it was told to stop is past."""
        self._told_to_stop.pop(container_id, None)

    def kill(self, container_id: str, number: int) -> set[str]:
        """A signal was sent to a container. One that does not stop it, as a SIGHUP, changes nothing."""
        known = self._running.get(container_id)
        if known is None or number not in (*_ALWAYS_STOP, signal_number(known.stop_signal)):
            return set()
        self._told_to_stop[container_id] = self._clock()
        return {entry.id for entry in known.entries}

    def end(self, container_id: str) -> set[str]:
        """A container ended."""
        self._told_to_stop.pop(container_id, None)
        known = self._running.pop(container_id, None)
        return {entry.id for entry in known.entries} if known else set()

    @property
    def containers(self) -> set[str]:
        """The IDs of the containers that are known to run."""
        return set(self._running)

    def entries(self) -> dict[str, ServiceEntry]:
        """The entries by their IDs. A container made anew has its forerunner's names: the last one started has them."""
        wanted = [known for container_id, known in self._running.items() if not self._stops(container_id)]
        return {entry.id: entry for known in sorted(wanted, key=lambda known: known.started) for entry in known.entries}

    def _stops(self, container_id: str) -> bool:
        told = self._told_to_stop.get(container_id)
        return told is not None and self._clock() - told < STOPS_WITHIN


def signal_number(text: str) -> int:
    """A container's stop signal, as a Dockerfile may write it: ``SIGQUIT``, ``QUIT``, ``3``; 0 for none."""
    if text.isdecimal():
        return int(text)
    name = text.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    return getattr(signal, name).value if name in signal.Signals.__members__ else 0

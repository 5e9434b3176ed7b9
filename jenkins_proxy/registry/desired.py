"""Which entries the running containers of this host ask for. No network: what events say becomes data."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from jenkins_proxy.registry.naming import Entry

STOPS_WITHIN = 600.0
"""Seconds after which a container that was told to stop and still runs evidently does not mean to."""

_ALWAYS_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL}


@dataclass(frozen=True)
class _Running:
    started: str
    stop_signal: str
    entries: tuple[Entry, ...]


class Desired:
    """What is to be registered.

    :param clock: seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._told_to_stop: dict[str, float] = {}

    def run(self, container: Mapping[str, Any], entries: list[Entry]) -> set[str]:
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

    def entries(self) -> dict[str, Entry]:
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

"""Which phase of a command runs, and how long each one took. The total is the wall time of the whole process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PHASES = ("hold", "bring_up", "wait", "verify", "promote", "reconfigure", "probe", "retire")


def process_age() -> float:
    """Seconds since this process was started, to 0.01 s: with the time that the interpreter and imports took.

    0 where ``/proc`` does not say it: then the time counts from the call.
    """
    try:
        # The 22nd field is the start in clock ticks since boot; the 2nd, in parentheses, may hold spaces.
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


class Phases:
    """The stopwatch of one command.

    :ivar current: the phase that runs, or in which an error was raised; empty between two.
    """

    def __init__(self, age: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the stopwatch.

        :param age: seconds that the command has taken already.
        :param clock: seconds that never run backwards.
        """
        self.current = ""
        self._clock = clock
        self._start = clock() - age
        self._seconds = dict.fromkeys(PHASES, 0.0)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one of :data:`PHASES`; the batches of a rolling deploy add up."""
        self.current = name
        start = self._clock()
        try:
            yield
        finally:
            self._seconds[name] += self._clock() - start
        self.current = ""

    def seconds(self) -> dict[str, float]:
        """How long each phase took so far, and the ``total``, in seconds."""
        return {**self._seconds, "total": self._clock() - self._start}

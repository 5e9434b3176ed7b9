"""Waiting has its one home here: a deadline for a whole command, with the clock and the sleep passed in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class Deadline:
    """One time limit that every phase of a command draws from.

    :param seconds: how long from now.
    :param clock: seconds that never run backwards.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock()

    @property
    def elapsed(self) -> float:
        return self._clock() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        return self.remaining <= 0

    def within(self, seconds: float) -> Deadline:
        """A shorter deadline inside this one: for a phase that may not take all that is left."""
        return Deadline(min(seconds, self.remaining), self._clock)

    def __str__(self) -> str:
        return f"{self.elapsed:.0f} s of {self.seconds:g} s"


def retry(
    action: Callable[[], Result],
    deadline: Deadline,
    retriable: tuple[type[Exception], ...],
    *,
    first: float = 0.1,
    most: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Do it until it succeeds, with a jittered, doubling pause after each failure.

    :param retriable: the errors to try again after; any other one is raised at once.
    :param first: the first pause in seconds; each next one is twice as long, ``most`` at the most.
    :raises Exception: the last retriable error, once the deadline has passed.
    """
    pause = first
    while True:
        try:
            return action()
        except retriable:
            if deadline.expired:
                raise
        sleep(min(pause * random.uniform(0.5, 1.0), deadline.remaining))
        pause = min(pause * 2, most)

"""Time limits and retries: a deadline for a whole command, pauses that grow, with the clock and the sleep passed in."""

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


class Backoff:
    """Pauses between attempts: each is twice as long as the one before, with jitter.

    :param min_pause: the first pause, in seconds.
    :param max_pause: the longest pause, in seconds.
    """

    def __init__(self, min_pause: float = 0.1, max_pause: float = 2.0) -> None:
        self._min_pause, self._max_pause = min_pause, max_pause
        self._next = min_pause
        self.started = False
        """Whether there was a pause since the last success."""

    def next_pause(self) -> float:
        """The seconds to wait now: from half of the pause to all of it, so that many who failed together come apart."""
        pause, self._next = self._next, min(self._next * 2, self._max_pause)
        self.started = True
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next = self._min_pause
        self.started = False


def retry(
    action: Callable[[], Result],
    deadline: Deadline,
    retriable: tuple[type[Exception], ...],
    *,
    min_pause: float = 0.1,
    max_pause: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Do it until it succeeds, with a pause of :class:`Backoff` after each failure.

    :param retriable: the errors to try again after; any other one is raised at once.
    :param min_pause: the first pause, in seconds.
    :param max_pause: the longest pause, in seconds.
    :raises Exception: the last retriable error, once the deadline has passed.
    """
    backoff = Backoff(min_pause, max_pause)
    while True:
        try:
            return action()
        except retriable:
            if deadline.expired:
                raise
        sleep(min(backoff.next_pause(), deadline.remaining))

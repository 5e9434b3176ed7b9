"""Whether the registry answers, as all who ask it see it together."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError

Result = TypeVar("Result")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_TOO_MANY = 429


class Reachability:
    """Counts the answers of the registry and its silence.

    :param lost: called with the reason when it stopped to answer.
    :param back: called with the seconds that it was away.
    """

    def __init__(self, lost: Callable[[str], None], back: Callable[[float], None]) -> None:
        self._lost = lost
        self._back = back
        self.lost_since: float | None = None
        self.reason = ""
        self.back_at = float("-inf")
        """When it came back last, by the monotonic clock."""

    async def retry_forever(
        self, ask: Callable[[], Awaitable[Result]], again: Callable[[], Awaitable[Result]] | None = None
    ) -> Result:
        """Ask until there is an answer, with a growing, jittered pause after each failure.

        :param again: what to ask after a failure instead.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await ask()
            except RegistryError as error:
                self._failed(error)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)
                ask = again or ask
            else:
                self._answered()
                return answer

    async def watch(self, ask: Callable[..., Awaitable[tuple[Result, int]]]) -> AsyncIterator[tuple[Result, bool]]:
        """The answers of a blocking query, for ever: at first, after each change, and after each quiet wait.

        :param ask: takes ``index`` and gives its answer with the next one.
        :return: each answer, and whether the index moved; at first it has.
        """
        index = 0
        while True:
            # A registry that was started anew counts from the beginning: with the index of before the query would not
            # return until its wait is over.
            first, again = functools.partial(ask, index=index), functools.partial(ask, index=0)
            answer, next_index = await self.retry_forever(first, again)
            index_changed = next_index != index
            index = next_index
            yield answer, index_changed

    def _failed(self, error: RegistryError) -> None:
        # A connection too many says that it is there.
        if self.lost_since is None and not (isinstance(error, RegistryRefused) and error.status == _TOO_MANY):
            self.lost_since = time.time()
            self.reason = str(error)
            self._lost(str(error))

    def _answered(self) -> None:
        if self.lost_since is not None:
            away = time.time() - self.lost_since
            self.lost_since = None
            self.reason = ""
            self.back_at = time.monotonic()
            self._back(away)

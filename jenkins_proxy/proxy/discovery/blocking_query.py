"""Queries of the registry that are repeated until they are answered, and what they say of it together."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.timing import DEFAULT, Timing

Result = TypeVar("Result")
Answer_co = TypeVar("Answer_co", covariant=True)

_TOO_MANY = 429


class BlockingQuery(Protocol[Answer_co]):
    """A query that answers at once with index 0, else when the registry is past ``index``; with the next index."""

    def __call__(self, *, index: int) -> Awaitable[tuple[Answer_co, int]]: ...


class _Ask(Protocol[Answer_co]):
    def __call__(self, *, index: int) -> Awaitable[Answer_co]: ...


class Reachability:
    """Whether the registry answers, as all queries see it together.

    :ivar lost_since: seconds since 1970 when it stopped to answer; None while it answers.
    :ivar reason: why it does not; empty while it does.
    :ivar back_at: when it came back last, by the monotonic clock.
    """

    def __init__(self, events: EventBus, timing: Timing = DEFAULT) -> None:
        self._events = events
        self._timing = timing
        self.lost_since: float | None = None
        self.reason = ""
        self.back_at = float("-inf")
        # The queries that have failed and are not answered since, and those that the others are not served without.
        self._failing: set[object] = set()
        self._behind: set[object] = set()
        self._recovered_at = float("-inf")
        self._recovered = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()

    async def caught_up(self) -> None:
        """Return when each :meth:`watch` has asked once, and when every query that failed while the registry was away
        has asked again since it is back.

        What one of them tells must not be served before the others have told theirs: a drain of old instances without
        the new ones leaves nobody who serves, and new ones without the hold on them are taken for proven. Waits no
        longer than ``timing.catch_up`` seconds.
        """
        if not self._caught_up.is_set():
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._caught_up.wait(), self._timing.catch_up)

    async def retry_forever(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask until there is an answer, with a growing, jittered pause after each failure."""
        return await self.answer(lambda *, index: ask(), 0)  # noqa: ARG005, PLW0108 - it does not block

    async def answer(self, ask: _Ask[Result], index: int) -> Result:
        """One answer of a query that may block, as :meth:`retry_forever`.

        :param index: what the answer before it gave; 0 for the first one.
        """
        try:
            answer = await self._insist(ask, index)
        except BaseException:
            self._failing.discard(ask)
            self._asked(ask)
            raise
        # Whoever asked takes the answer first.
        asyncio.get_running_loop().call_soon(self._asked, ask)
        return answer

    async def _insist(self, ask: _Ask[Result], index: int) -> Result:
        pause = self._timing.registry_retry_min
        while True:
            begin = time.monotonic()
            try:
                answer = await ask(index=index)
            except RegistryError as error:
                self._failed(error)
                self._failing.add(ask)
                self._asked(ask, begin)
                await self._pause(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, self._timing.registry_retry_max)
                # A registry that was started again counts from the beginning: with the old index the query would not
                # return until its wait is over.
                index = 0
            else:
                self._failing.discard(ask)
                self._answered()
                return answer

    async def watch(self, query: BlockingQuery[Result]) -> AsyncIterator[tuple[Result, bool]]:
        """The answers of a blocking query, without an end: at first, after each change, and after each quiet wait.

        :return: each answer, and whether the index changed; at first it has.
        """
        index = 0
        self._await(query)
        while True:
            answer, next_index = await self.answer(query, index)
            index_changed = next_index != index
            index = next_index
            yield answer, index_changed

    def _failed(self, error: RegistryError) -> None:
        # An answer that refuses one connection too many says that the registry is there.
        if self.lost_since is None and not (isinstance(error, RegistryRefused) and error.status == _TOO_MANY):
            self.lost_since = time.time()
            self.reason = str(error)
            self._events.publish("registry-lost", detail=self.reason)

    def _answered(self) -> None:
        if self.lost_since is not None:
            away = time.time() - self.lost_since
            self.lost_since = None
            self.reason = ""
            self.back_at = time.monotonic()
            self._events.publish("registry-back", seconds=away)
        # Those that failed need wait no longer; but not more often than they would ask by themselves, as a registry
        # that answers some and not others is not to be asked all the time.
        now = time.monotonic()
        if self._failing and now - self._recovered_at >= self._timing.registry_retry_max:
            self._recovered_at = now
            self._await(*self._failing)
            self._recovered.set()
            self._recovered = asyncio.Event()

    def _await(self, *queries: object) -> None:
        self._behind.update(queries)
        if self._behind:
            self._caught_up.clear()

    async def _pause(self, seconds: float) -> None:
        """Wait before a query is asked again, or until another one is answered."""
        with contextlib.suppress(TimeoutError):
            await with_timeout(self._recovered.wait(), seconds)

    def _asked(self, query: object, begin: float = float("inf")) -> None:
        """A query has its answer, or failed.

        :param begin: when it was asked: a failure of before the registry was back says nothing.
        """
        if begin >= self._recovered_at:
            self._behind.discard(query)
            if not self._behind:
                self._caught_up.set()

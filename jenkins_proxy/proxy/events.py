"""One event to many readers, none of whom can slow the others or the writer down."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.model import Address


class EventBus:
    """Publishes events to whoever subscribed before.

    :param capacity: how many events a subscription holds that its reader has not taken yet.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._subscriptions: list[Subscription] = []

    def publish(
        self, kind: str, service: str = "", *, address: Address | None = None, detail: str = "", seconds: float = 0.0
    ) -> None:
        """Publish an event that happens now.

        :param kind: what happened, as :class:`Event` lists it. :param seconds: what it took.
        """
        event = Event(time.time(), kind, service, address, detail, seconds)
        for subscription in self._subscriptions:
            subscription.add(event)

    def subscribe(self) -> Subscription:
        """The events from now on."""
        subscription = Subscription(self._capacity)
        self._subscriptions.append(subscription)
        return subscription


class Subscription:
    """An asynchronous iterator over events. A reader that is too slow misses the oldest."""

    def __init__(self, capacity: int) -> None:
        self._events: collections.deque[Event] = collections.deque(maxlen=capacity)
        self._arrival = asyncio.Event()

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._arrival.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            self._arrival.clear()
            await self._arrival.wait()
        return self._events.popleft()


@dataclass(frozen=True)
class Event:
    """Something that happened.

    :ivar time: seconds since 1970.
    :ivar kind: ``instance-up``, ``instance-down``, ``instance-waiting``, ``route-put``, ``route-removed``,
        ``route-refused``, ``hold-put``, ``hold-promoted``, ``hold-ended``, ``users-counted``, ``reload``,
        ``reload-failed``, ``registry-lost``, ``registry-back``, ``in-rotation``, ``haproxy-died``, ``drift-repaired``,
        ``part-died``, ``route-restored``, ``certificate-put``, ``certificate-removed``, ``certificate-refused``,
        ``certificate-expires``.
    :ivar service: the route's service, empty when it concerns all.
    :ivar address: of the instance, for the instance events.
    :ivar detail: the reason in words, for people.
    :ivar seconds: how long it took: ``reload``; ``in-rotation`` from the registry's report to HAProxy's answer;
        ``registry-back`` how long it was away.
    """

    time: float
    kind: str
    service: str = ""
    address: Address | None = None
    detail: str = ""
    seconds: float = 0.0


class EventLog:
    """The latest events. Readers hold a position and ask for what came after it, so that a slow reader costs nothing
    and misses only what the log has dropped.

    :param capacity: how many events it keeps.
    :param epoch: distinguishes this run's positions from those of an earlier one.
    """

    def __init__(self, capacity: int = 1000, epoch: int | None = None) -> None:
        self._entries: collections.deque[tuple[int, Event]] = collections.deque(maxlen=capacity)
        self._epoch = int(time.time()) if epoch is None else epoch
        self._last = 0
        self._arrival = asyncio.Event()
        self._closed = False

    @property
    def last(self) -> int:
        """The position of the latest event."""
        return self._last

    @property
    def closed(self) -> bool:
        return self._closed

    def add(self, event: Event) -> None:
        self._last += 1
        self._entries.append((self._last, event))
        self._wake()

    def close(self) -> None:
        """Wake every reader for the last time: no event follows."""
        self._closed = True
        self._wake()

    def after(self, position: int) -> list[tuple[int, Event]]:
        """What came after a position and is still there, oldest first."""
        return [entry for entry in self._entries if entry[0] > position]

    async def wait(self, position: int, timeout: float) -> None:
        """Return when an event came after ``position``, after ``timeout`` seconds, or when the log is closed."""
        if self._last > position or self._closed:
            return
        with contextlib.suppress(TimeoutError):
            await with_timeout(self._arrival.wait(), timeout)

    def identifier(self, position: int) -> str:
        """A position in the form that a reader may keep over a restart of the daemon."""
        return f"{self._epoch}-{position}"

    def position(self, identifier: str) -> int:
        """The position of an identifier; 0, the log's beginning, for one of another run, or for any other text."""
        epoch, _, number = identifier.partition("-")
        if epoch == str(self._epoch) and number.isascii() and number.isdigit():
            return min(int(number[:18]), self._last)
        return 0

    def _wake(self) -> None:
        # A new Event each time: whoever waits on the old one is woken exactly once.
        self._arrival.set()
        self._arrival = asyncio.Event()


def event_json(event: Event) -> dict[str, Any]:
    """An event as JSON-ready data."""
    return {**dataclasses.asdict(event), "address": str(event.address) if event.address else None}

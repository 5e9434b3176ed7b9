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

_LOG_CAPACITY = 1000

_SUBSCRIPTION_CAPACITY = 10_000


class EventBus:
    """Tells events to whoever subscribed before."""

    def __init__(self) -> None:
        self._readers: list[Subscription] = []

    def publish(
        self, kind: str, service: str = "", *, address: Address | None = None, detail: str = "", seconds: float = 0.0
    ) -> None:
        """Tell everybody who listens now.

        :param kind: what happened, as :class:`Event` lists it. :param seconds: what it took.
        """
        event = Event(time.time(), kind, service, address, detail, seconds)
        for reader in self._readers:
            reader.add(event)

    def subscribe(self) -> Subscription:
        """The events from now on."""
        reader = Subscription()
        self._readers.append(reader)
        return reader


class Subscription:
    """An asynchronous iterator over events. A reader that is too slow misses the oldest."""

    def __init__(self) -> None:
        self._events: collections.deque[Event] = collections.deque(maxlen=_SUBSCRIPTION_CAPACITY)
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
    :ivar kind: ``instance-up``, ``instance-down``, ``route-put``, ``route-removed``, ``route-refused``, ``reload``,
        ``reload-failed``, ``registry-lost``, ``registry-back``, ``in-rotation``, ``haproxy-died``.
    :ivar service: the route's service, empty when it concerns all.
    :ivar address: of the instance, for the instance events.
    :ivar detail: the reason in words, for people.
    :ivar seconds: how long it took: ``reload``; ``in-rotation`` from the registry's wake-up to HAProxy's answer;
        ``registry-back`` how long it was away.
    """

    time: float
    kind: str
    service: str = ""
    address: Address | None = None
    detail: str = ""
    seconds: float = 0.0


class EventLog:
    """A bounded ring of events. Readers hold a position and ask for what came after it, so that a slow one costs
    nothing and misses only what the ring has lost.

    :param epoch: tells this run's positions from those of an earlier one.
    """

    def __init__(self, capacity: int = _LOG_CAPACITY, epoch: int | None = None) -> None:
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
        """Send every reader home: nothing will come any more."""
        self._closed = True
        self._wake()

    def after(self, position: int) -> list[tuple[int, Event]]:
        """What came after a position and is still there, oldest first."""
        return [entry for entry in self._entries if entry[0] > position]

    async def wait(self, position: int, timeout: float) -> None:
        """Come back when something came after ``position``, after ``timeout`` seconds, or when the log closes."""
        if self._last > position or self._closed:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await with_timeout(self._arrival.wait(), timeout)

    def identifier(self, position: int) -> str:
        """A position in the form that a reader may keep over our restart."""
        return f"{self._epoch}-{position}"

    def position(self, identifier: str) -> int:
        """Where to go on after an identifier; the ring's beginning for one of another run, or one that is none."""
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

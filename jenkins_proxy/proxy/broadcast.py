"""One event to many readers, none of whom can slow the others or the writer down."""

from __future__ import annotations

import asyncio
import collections
import time

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.states import Event

_CAPACITY = 10_000


class Broadcast:
    """Tells events to whoever subscribed before."""

    def __init__(self) -> None:
        self._readers: list[Subscription] = []

    def tell(
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
        self._events: collections.deque[Event] = collections.deque(maxlen=_CAPACITY)
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

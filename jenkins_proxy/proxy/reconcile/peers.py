"""What the other proxies serve, for calls that answer when all of them serve a change."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.models import Progress
from jenkins_proxy.retry import Deadline

_STREAMS = "streams"
_LEAST_WAIT = 0.1


@dataclass(frozen=True)
class Served:
    """What a proxy says of itself.

    :ivar routes: the index of the store up to which it serves the routes; ``holds`` and ``drains`` likewise. Of drains
        an older proxy says nothing: None.
    :ivar awaiting: services whose users it cannot serve yet; None for too many to name.
    :ivar busy: what is in flight on drained instances, ``requests`` or nothing but ``streams``, by service and address;
        None for too many to name. An older proxy says nothing, and counts as idle.
    """

    routes: int = 0
    holds: int = 0
    drains: int | None = None
    awaiting: frozenset[str] | None = frozenset()
    busy: Mapping[str, Mapping[str, str]] | None = field(default_factory=dict)

    @classmethod
    def parse(cls, value: bytes) -> Served:
        """From a proxy's document; nothing is served by one that nobody can read."""
        try:
            data = validation.parse_json(value)
        except ValueError:
            return cls()
        if not isinstance(data, dict):
            return cls()
        numbers = {name: number for name, number in data.items() if type(number) is int}
        awaiting, busy = data.get("awaiting", []), data.get("busy", {})
        return cls(
            numbers.get("index", 0),
            numbers.get("holds", 0),
            numbers.get("drains"),
            frozenset(map(str, awaiting)) if isinstance(awaiting, list) else None,
            _texts(busy) if isinstance(busy, dict) else None,
        )


def _texts(busy: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What is no mapping is left out; what is in flight in words of a later version is no stream."""
    return {
        service: {address: str(kind) for address, kind in own.items()}
        for service, own in busy.items()
        if isinstance(own, dict)
    }


@dataclass(frozen=True)
class Goal:
    """What every proxy shall serve.

    :ivar routes: the index of the store at which the change is in its routes; ``holds`` and ``drains`` likewise; 0
        where it is not about these.
    :ivar service: whose users have to be served as well; empty where nobody has to.
    """

    routes: int = 0
    holds: int = 0
    drains: int = 0
    service: str = ""

    def progress(self, served: Served) -> Progress:
        """How far a proxy is."""
        reached = (
            served.routes >= self.routes
            and served.holds >= self.holds
            and (served.drains is None or served.drains >= self.drains)
            and not (self.service and (served.awaiting is None or self.service in served.awaiting))
        )
        return Progress.SERVES if reached else Progress.LAGS


@dataclass(frozen=True)
class Drained:
    """Instances of a service that get no new request from any proxy that is asked about them."""

    service: str
    addresses: frozenset[Address]

    def idle(self, served: Served, *, streams: bool) -> bool:
        """Whether nothing is in flight on them at a proxy.

        :param streams: whether streams count.
        """
        if served.busy is None:
            return False
        own = served.busy.get(self.service, {})
        in_flight = {own[str(address)] for address in self.addresses if str(address) in own}
        return not in_flight or not streams and in_flight == {_STREAMS}


class Peers:
    """The live proxies: those whose session holds their document in the store.

    :param name: of this proxy, which asks for itself only once it serves.
    """

    def __init__(self, store: HoldStore, name: str) -> None:
        self._store = store
        self._name = name

    async def wait(self, goal: Goal, timeout: float) -> Mapping[str, Progress]:
        """Return when every live proxy has reached a goal, or after ``timeout`` seconds.

        :return: how far each is, by its name; this one serves.
        :raises RegistryError: the registry does not answer.
        """
        deadline = Deadline(timeout)
        progress, index = await self._look(goal, 0, 0.0)
        while Progress.LAGS in progress.values() and not deadline.expired:
            try:
                # The registry adds jitter to a wait: without a limit of ours the answer would come after the deadline.
                progress, index = await with_timeout(
                    self._look(goal, index, deadline.remaining), max(deadline.remaining, _LEAST_WAIT)
                )
            except TimeoutError:
                break
        return progress

    async def wait_idle(
        self, drained: Drained, progress: Mapping[str, Progress], deadline: Deadline, streams: Deadline
    ) -> list[str]:
        """Return when nothing is in flight on drained instances at the proxies that have drained them.

        :param progress: how far each is with the drain; those that lag are not waited for.
        :param streams: when it passes, streams are waited for no longer: they end with the instance.
        :return: the names of those where something still is when the deadline passes.
        :raises RegistryError: the registry does not answer.
        """
        asked = {name for name, own in progress.items() if own is Progress.SERVES and name != self._name}
        if not asked:
            return []
        documents, index = await self._store.proxies()
        while True:
            counted = not streams.expired
            busy = [
                name
                for name in sorted(asked & documents.keys())
                if not drained.idle(Served.parse(documents[name]), streams=counted)
            ]
            if not busy or deadline.expired:
                return busy
            left = min(deadline.remaining, streams.remaining) if counted else deadline.remaining
            with contextlib.suppress(TimeoutError):
                documents, index = await with_timeout(
                    self._store.proxies(index=index, wait=left), max(left, _LEAST_WAIT)
                )

    async def wait_holds(self, service: str, timeout: float) -> Mapping[str, Progress]:
        """As :meth:`wait`, for the holds as they are in the store now.

        :param service: as of :class:`Goal`.
        """
        _, goal = await self._store.holds()
        return await self.wait(Goal(holds=goal, service=service), timeout)

    async def _look(self, goal: Goal, index: int, wait: float) -> tuple[dict[str, Progress], int]:
        proxies, index = await self._store.proxies(index=index, wait=wait)
        progress = {name: goal.progress(Served.parse(value)) for name, value in proxies.items()}
        return {**progress, self._name: Progress.SERVES}, index

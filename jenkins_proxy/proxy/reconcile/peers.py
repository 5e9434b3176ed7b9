"""What the other proxies serve, for calls that answer when all of them serve a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jenkins_proxy import validation
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.models import Progress
from jenkins_proxy.retry import Deadline


@dataclass(frozen=True)
class Served:
    """What a proxy says of itself.

    :ivar routes: the index of the store up to which it serves the routes; ``holds`` and ``drains`` likewise. Of drains
        an older proxy says nothing: None.
    :ivar awaiting: services whose users it cannot serve yet; None for too many to name.
    """

    routes: int = 0
    holds: int = 0
    drains: int | None = None
    awaiting: frozenset[str] | None = frozenset()

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
        awaiting = data.get("awaiting", [])
        return cls(
            numbers.get("index", 0),
            numbers.get("holds", 0),
            numbers.get("drains"),
            frozenset(map(str, awaiting)) if isinstance(awaiting, list) else None,
        )


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
                    self._look(goal, index, deadline.remaining), max(deadline.remaining, 0.1)
                )
            except TimeoutError:
                break
        return progress

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

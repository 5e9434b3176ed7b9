"""What the other proxies serve, for calls that answer when all of them do."""

from __future__ import annotations

from enum import StrEnum

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.retry import Deadline


class Progress(StrEnum):
    """How far a proxy is with a change."""

    SERVES = "serves"
    LAGS = "lags"


class Peers:
    """The live proxies: those whose session holds their document in the store.

    :param name: of this proxy, which asks for itself only once it serves.
    """

    def __init__(self, store: HoldStore, name: str) -> None:
        self._store = store
        self._name = name

    async def wait(self, timeout: float) -> dict[str, Progress]:
        """Return when every live proxy serves the holds as they are in the store now, or after ``timeout`` seconds.

        :return: how far each is, by its name; this one serves.
        :raises RegistryError: the registry does not answer.
        """
        deadline = Deadline(timeout)
        _, goal = await self._store.holds()
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

    async def _look(self, goal: int, index: int, wait: float) -> tuple[dict[str, Progress], int]:
        proxies, index = await self._store.proxies(index=index, wait=wait)
        progress = {
            name: Progress.SERVES if served.get("holds", 0) >= goal else Progress.LAGS
            for name, served in proxies.items()
        }
        return {**progress, self._name: Progress.SERVES}, index

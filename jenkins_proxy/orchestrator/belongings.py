"""What a project or a stack has beside its containers: networks, volumes, and on a cluster secrets and configs.

A deploy that is reverted leaves none behind: each network takes one of the engine's few address pools, and a secret of
a stack can never be given another content.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import DockerError
from jenkins_proxy.retry import Deadline, retry

NETWORK, SECRET, CONFIG = KINDS = ("network", "secret", "config")
VOLUME = "volume"


class _StillHeld(Exception):
    """The engine does not let something go yet."""

    def __init__(self, left: list[Belonging]) -> None:
        super().__init__(f"{len(left)} of them")
        self.left = left


@dataclass(frozen=True)
class Belonging:
    """One of them; as text ``network books_default``."""

    kind: str
    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Belongings:
    """All that a project has of these kinds on an engine.

    :ivar label: whose value is the project.
    :ivar kinds: of what is no volume.
    :ivar seconds: for the engine to let something go whose last container has just gone.
    :ivar pause: between the first two attempts, in seconds.
    """

    engine: Engine
    label: str
    project: str
    kinds: Sequence[str] = (NETWORK,)
    seconds: float = 0.0
    pause: float = 0.1

    def by_id(self) -> dict[str, str]:
        """Those that are no volumes, in words, by ID."""
        return {one.id: str(one) for one in self._listed()}

    def remove(self, keep: Collection[str], deadline: Deadline) -> list[str]:
        """Remove what is no volume and not used, but for those that stay.

        :param keep: the IDs of those that stay.
        :return: those that are still there, in words.
        """

        left = self._let_go(lambda: [one for one in self._listed() if one.id not in keep], deadline)
        return [str(one) for one in left]

    def volumes(self, used: Collection[str] | None = None) -> tuple[str, ...]:
        """The names of the volumes.

        :param used: only those of these names; None means all.
        """
        found = self.engine.get("/volumes", params={"filters": self._filter}).get("Volumes") or ()
        return tuple(sorted(entry["Name"] for entry in found if used is None or entry["Name"] in used))

    def remove_volumes(self, names: Collection[str], deadline: Deadline) -> list[str]:
        """Remove volumes, and return the names of those that are still there."""

        def there() -> list[Belonging]:
            return [Belonging(VOLUME, name, name) for name in sorted(names) if self.engine.find(f"/volumes/{name}")]

        return [one.name for one in self._let_go(there, deadline)]

    @property
    def _filter(self) -> str:
        return json.dumps({"label": [f"{self.label}={self.project}"]})

    def _listed(self) -> list[Belonging]:
        return [
            Belonging(kind, entry.get("Id") or entry["ID"], entry.get("Name") or entry["Spec"]["Name"])
            for kind in self.kinds
            for entry in self.engine.get(f"/{kind}s", params={"filters": self._filter})
        ]

    def _is_used(self, one: Belonging) -> bool:
        """Whether a container has it, running or not: one that is stopped could not be started without its network.

        A Swarm knows that by itself, of all nodes, and keeps the containers of ended tasks for a while.
        """
        if self.kinds == KINDS:
            return False
        filters = json.dumps({one.kind: [one.id]})
        return bool(self.engine.get("/containers/json", params={"all": "1", "filters": filters}))

    def _let_go(self, wanted: Callable[[], list[Belonging]], deadline: Deadline) -> list[Belonging]:
        """Remove until the engine has let all of them go that nothing uses.

        It gives a network's last address back a moment after its container is gone, and a Swarm lists a network later
        than it has made it.

        :param wanted: what is to go, as the engine lists it now.
        :return: what is still there.
        """

        def attempt() -> list[Belonging]:
            found = wanted()
            used = [one for one in found if self._is_used(one)]
            left = [one for one in found if one not in used and not self._removed(one)]
            if left:
                raise _StillHeld([*used, *left])
            return used

        try:
            return retry(attempt, deadline.within(self.seconds), (_StillHeld,), min_pause=self.pause, max_pause=0.5)
        except _StillHeld as held:
            return held.left

    def _removed(self, one: Belonging) -> bool:
        try:
            self.engine.delete(f"/{one.kind}s/{one.id}")
        except DockerError:
            return False
        return True


class WithBelongings(abc.ABC):
    """What each orchestrator does with these in the same way; described in :mod:`jenkins_proxy.orchestrator.base`."""

    @property
    @abc.abstractmethod
    def _belongings(self) -> Belongings:
        """Those of the project."""

    def belongings(self) -> dict[str, str]:
        return self._belongings.by_id()

    def remove_belongings(self, keep: Collection[str], *, deadline: Deadline) -> list[str]:
        return self._belongings.remove(keep, deadline)

    def remove_volumes(self, names: Collection[str], *, deadline: Deadline) -> list[str]:
        return self._belongings.remove_volumes(names, deadline)

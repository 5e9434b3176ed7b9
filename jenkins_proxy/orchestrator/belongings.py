"""What a project or a stack has beside its containers: networks, volumes, and on a cluster secrets and configs.

A deploy that is reverted leaves none behind: each network takes one of the engine's few address pools, and a secret of
a stack can never be given another content.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
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


def of_project(engine: Engine, label: str, project: str, kinds: Sequence[str] = (NETWORK,)) -> list[Belonging]:
    """Those whose label names the project.

    :param kinds: of these kinds.
    """
    filters = json.dumps({"label": [f"{label}={project}"]})
    return [
        Belonging(kind, entry.get("Id") or entry["ID"], entry.get("Name") or entry["Spec"]["Name"])
        for kind in kinds
        for entry in engine.get(f"/{kind}s", params={"filters": filters})
    ]


def remove(engine: Engine, found: Sequence[Belonging], keep: Collection[str]) -> list[Belonging]:
    """Remove what is found, but for those that stay.

    :param keep: the IDs of those that stay.
    :return: those that the engine does not let go now.
    """
    left = []
    for one in found:
        if one.id not in keep:
            try:
                engine.delete(f"/{one.kind}s/{one.id}")
            except DockerError:
                left.append(one)
    return left


def remove_soon(
    engine: Engine, found: Sequence[Belonging], keep: Collection[str], deadline: Deadline, pause: float
) -> list[Belonging]:
    """The same, again and again until the engine has let all of them go, or the deadline passes.

    :param pause: seconds between the first two attempts.
    """

    def attempt() -> None:
        left = remove(engine, found, keep)
        if left:
            raise _StillHeld(left)

    try:
        retry(attempt, deadline, (_StillHeld,), min_pause=pause)
    except _StillHeld as held:
        return held.left
    return []


def volumes(engine: Engine, label: str, project: str) -> list[Belonging]:
    """The volumes whose label names the project: a volume's name is its ID."""
    filters = json.dumps({"label": [f"{label}={project}"]})
    found = engine.get("/volumes", params={"filters": filters}).get("Volumes") or ()
    return [Belonging(VOLUME, entry["Name"], entry["Name"]) for entry in found]


def in_use(engine: Engine, network: str) -> bool:
    """Whether a container is on a network, running or not: one that is stopped could not be started without it."""
    filters = json.dumps({"network": [network]})
    return bool(engine.get("/containers/json", params={"all": "1", "filters": filters}))

"""The networks of a project or a stack, so that a deploy that is reverted leaves none behind."""

from __future__ import annotations

import json
from collections.abc import Collection

from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import DockerError


def of_project(engine: Engine, label: str, project: str) -> frozenset[str]:
    """The IDs of the networks whose label names the project."""
    return frozenset(_listed(engine, label, project))


def remove(engine: Engine, label: str, project: str, keep: Collection[str]) -> list[str]:
    """Remove the others of the project's networks.

    :param keep: the IDs of those that stay.
    :return: the names of those that are still in use.
    """
    left = []
    for network, name in _listed(engine, label, project).items():
        if network not in keep:
            try:
                engine.delete(f"/networks/{network}")
            except DockerError:
                left.append(name)
    return left


def _listed(engine: Engine, label: str, project: str) -> dict[str, str]:
    filters = json.dumps({"label": [f"{label}={project}"]})
    return {entry["Id"]: entry["Name"] for entry in engine.get("/networks", params={"filters": filters})}

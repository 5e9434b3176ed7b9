"""The two colors of a blue-green service: which is next, and where each one's containers are.

The color that serves is the route's, which is in the registry: no file of one agent can be wrong about it.
"""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment.context import BLUE_GREEN, Context
from jenkins_proxy.deployment.strategies.record import DeployRecord
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import AUTO, BLUE, GREEN, STACK, Orchestrator, Place, SurgeOrchestrator


def next_after(route: Route | None) -> str:
    """The color to deploy while this route serves; blue for a service that has none yet."""
    return GREEN if route is not None and route.color == BLUE else BLUE


def rivals(route: Route) -> tuple[str, ...]:
    """The colors that may have served before this one, the likeliest first; an empty one is the base project's."""
    return (next_after(route), "") if route.color else (BLUE, GREEN)


def place(context: Context, record: DeployRecord) -> Place:
    """Where the project is that a deploy which has left a record went into; of a color's, the base project."""
    kind = record.orchestrator or AUTO
    found = orchestrator(context, record.project, kind).place
    if record.strategy != BLUE_GREEN or kind == STACK:
        return found
    color = next((color for color in (BLUE, GREEN) if record.project.endswith(f"-{color}")), "")
    return dataclasses.replace(found, project=record.project.removesuffix(f"-{color}"))


def orchestrator(context: Context, name: str, kind: str) -> Orchestrator:
    """The orchestrator of a project, without files: enough to list, stop, remove and restore its containers.

    :param name: of the project.
    :param kind: the name of the orchestrator that made them.
    """
    found, _ = detect.choose(context.settings, context.console, project=name, files=(), wanted=kind)
    return found


def surge_orchestrator(context: Context, name: str, kind: str) -> SurgeOrchestrator:
    """The same, where single containers are to be stopped.

    :raises UsageError: when the orchestrator is one that cannot do that.
    """
    found = orchestrator(context, name, kind)
    if not isinstance(found, SurgeOrchestrator):
        raise UsageError(f"{kind} cannot stop single containers of {name}", "use compose")
    return found


def of_route(base: SurgeOrchestrator, target: str, route: Route | None) -> SurgeOrchestrator:
    """The project that serves a route: the one of the route's color, or the base project.

    :param target: the compose service whose containers are the instances.
    """
    if route is None or not route.color:
        return base
    return base.for_color(target, service=route.service, color=route.color)

"""Waiting for the other targets of a deploy: nobody asks them anything, so they have to run on, or be healthy."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import wait as waits
from jenkins_proxy.errors import WaitTimeout
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.retry import retry
from jenkins_proxy.validation import few

_RESTARTING = "restarting"


class _NotYet(Exception):
    """Some are not steady yet."""


def unsteady(container: Container) -> str:
    """What a container still lacks, in words; empty when it runs and is healthy, or has done its work."""
    if container.state == "exited" and not container.exit_code:
        return ""
    if container.state != "running":
        return f"{container.name} is {container.state}"
    return "" if container.health in ("", "healthy") else f"{container.name} is {container.health}"


def wait(
    context: Context, orchestrator: Orchestrator, services: Sequence[str], *, settle: float, before: Collection[str]
) -> None:
    """Come back when all containers of services have been steady for a while.

    :param settle: seconds for that; at the least those that the context's timing asks for.
    :param before: the IDs of the containers that were there before the deployment changed anything.
    :raises ContainerDied: when one ends, or restarts again and again. Unhealthy: when its HEALTHCHECK gives it up.
    :raises WaitTimeout: when the context's deadline passes.
    """
    timing, clock = context.timing, context.deadline
    since: dict[str, float] = {}  # by container, how long it restarts
    restarts: dict[str, int] = {}
    steady_at = clock.elapsed
    context.console.step(f"waiting for {', '.join(services)}: each has to run on")

    def attempt() -> None:
        nonlocal steady_at
        pending = []
        for container in (c for name in services for c in orchestrator.current_containers(name, before=before)):
            if container.state == _RESTARTING:
                loops = clock.elapsed - since.setdefault(container.id, clock.elapsed) >= timing.restart_loop
            else:
                loops = container.state in ("exited", "dead") and bool(unsteady(container))
            if loops:
                raise waits.died(orchestrator, container)
            waits.check_health(orchestrator, container)
            again = container.restarts > restarts.setdefault(container.id, container.restarts)
            restarts[container.id] = container.restarts
            if again or unsteady(container):
                pending.append(unsteady(container) or f"{container.name} has restarted")
        if pending:
            steady_at = clock.elapsed
            raise _NotYet(few(pending))
        if clock.elapsed - steady_at < max(settle, timing.steady):
            raise _NotYet("not for long enough")

    try:
        retry(attempt, context.deadline, (_NotYet,), min_pause=min(0.2, timing.poll), max_pause=timing.poll)
    except _NotYet as pending:
        names = ", ".join(services)
        raise WaitTimeout(f"{names}: not steady after {clock.seconds:g} s: {pending}", "raise --timeout") from None

"""Waiting for what ``depends_on`` asks for: compose itself does so only for what one call of it starts together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from jenkins_proxy.errors import DeployFailed
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.project import COMPLETED, HEALTHY
from jenkins_proxy.orchestrator.timing import Timing
from jenkins_proxy.retry import Deadline, retry


class _NotYet(Exception):
    """A condition that may still come true."""


def wait(
    orchestrator: Orchestrator, services: Sequence[str], deadline: Deadline, timing: Timing, *, done: Collection[str]
) -> None:
    """Come back when all that services wait for, by ``depends_on``, is so.

    :param done: the needs that have had their turn: what one-shots among them did counts.
    :raises DeployFailed: when a condition cannot come true any more, or the deadline passes.
    """
    known = orchestrator.validate().services
    wanted = {
        name: what
        for service in services
        for name, what in known[service].conditions.items()
        if name not in services and (what == HEALTHY or (what == COMPLETED and name not in done))
    }

    def attempt() -> None:
        for name, what in wanted.items():
            pending = unmet(what, orchestrator.containers(name), lambda one: _last_line(orchestrator, one))
            if pending:
                raise _NotYet(f"{name}: {pending}")

    try:
        retry(attempt, deadline, (_NotYet,), min_pause=timing.poll_min, max_pause=timing.poll_max)
    except _NotYet as pending:
        raise DeployFailed(f"waited in vain for {pending} ({deadline})", "give it more with --timeout") from None


def unmet(condition: str, containers: Sequence[Container], last_line: Callable[[Container], str]) -> str:
    """What is still missing for a condition; empty when it is so.

    :param last_line: the last line that a container wrote.
    :raises DeployFailed: when it cannot come true any more.
    """
    missing = ""
    for container in containers:
        ended = container.state in ("exited", "dead")
        if ended and (container.exit_code or condition == HEALTHY):
            raise DeployFailed(
                f"{container.name} ended with exit code {container.exit_code}: {last_line(container)}",
                "its last lines are above: what is deployed needs it",
            )
        if condition == HEALTHY and container.health == "unhealthy":
            raise DeployFailed(
                f"{container.name} is unhealthy, and what is deployed needs it healthy",
                f"docker inspect {container.name} shows the last runs of its check",
            )
        if condition == COMPLETED and not ended:
            missing = f"{container.name} is {container.state}"
        if condition == HEALTHY and container.health != "healthy":
            missing = f"{container.name} is {container.health or 'without a HEALTHCHECK'}"
    return missing


def _last_line(orchestrator: Orchestrator, container: Container) -> str:
    return next((line.strip() for line in reversed(orchestrator.logs(container)) if line.strip()), "it wrote nothing")

"""What failing containers have to say, shown and kept before they are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import FailedContainer
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Orchestrator

_CONTAINERS = 5
_LINES = 50


def collect(
    orchestrator: Orchestrator, started: Callable[[], Sequence[Container]], context: Context
) -> tuple[FailedContainer, ...]:
    """Show the last lines and the health check's output of the new containers on the console.

    An engine that does not answer ends the list: that must not hide the failure after which it is asked.

    :param started: lists the new containers.
    :return: the same as data, for the report.
    """
    failed: list[FailedContainer] = []
    try:
        # A task that Swarm has not started yet has nothing to say.
        for container in sorted(started(), key=lambda container: container.state == "created")[:_CONTAINERS]:
            lines = orchestrator.logs(container, _LINES)
            health = orchestrator.health_output(container)
            failed.append(FailedContainer(container.name, container.state, container.health, health, tuple(lines)))
            _show(failed[-1], context)
    except JenkinsProxyError:
        pass
    return tuple(failed)


def _show(failed: FailedContainer, context: Context) -> None:
    context.console.step(f"the last lines of {failed.container} ({failed.state}):")
    for line in failed.log or ("(it wrote nothing)",):
        context.console.output(line)
    for line in failed.health_output.splitlines():
        context.console.output(f"health check: {line}")

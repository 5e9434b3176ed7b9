"""What failing containers have to say, shown and kept before they are removed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Orchestrator

_CONTAINERS = 5
_LINES = 50


def collect(
    orchestrator: Orchestrator, started: Callable[[], Sequence[Container]], context: Context, report: Report
) -> None:
    """Put the last lines and the health check's output of the new containers on the console and in the report.

    An engine that does not answer has nothing to say: that must not hide why it is asked.

    :param started: tells the new containers.
    """
    with contextlib.suppress(JenkinsProxyError):
        # A task that Swarm has not started yet has nothing to say.
        for container in sorted(started(), key=lambda one: one.state == "created")[:_CONTAINERS]:
            lines = orchestrator.logs(container, _LINES)
            health = orchestrator.health_output(container)
            report.failing.append(
                {
                    "container": container.name,
                    "state": container.state,
                    "health": container.health,
                    "health_output": health,
                    "log": lines,
                }
            )
            context.console.step(f"the last lines of {container.name} ({container.state}):")
            for line in lines or ["(it wrote nothing)"]:
                context.console.output(line)
            for line in health.splitlines():
                context.console.output(f"health check: {line}")

"""The strategy ``blue-green``: the other color comes up as a project of its own, and then the route switches."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment.context import BLUE_GREEN, Context, DeployOptions, Ready
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.base import PreviousState, Strategy
from jenkins_proxy.model import Container


class BlueGreen(Strategy):
    """All users meet the old color, and from one moment on all meet the new one."""

    name = BLUE_GREEN

    def __init__(self, options: DeployOptions, context: Context, ready: Ready, before: PreviousState) -> None:
        super().__init__(options, context, ready, before)
        self.color = colors.next_after(before.route)
        self.route = dataclasses.replace(options.route, color=self.color)
        self.registry_name = self.route.registry_name
        self.orchestrator = colors.orchestrator(options, context, self.color, ready.orchestrator.name)

    def bring_up(self, count: int) -> list[Container]:
        base, deadline = self.ready.orchestrator, self._context.deadline
        # The side services stay in the base project: both colors use the same database.
        sides = self.ready.project.before(self.target)
        if sides:
            base.up(sides, deadline=deadline)
        if not base.containers(self.target):
            # Starts none: compose makes the networks and volumes that the colors share and no side service has.
            base.scale(self.target, 0, deadline=deadline)
        self.orchestrator = base.for_color(self.target, service=self.options.service, color=self.color)
        self.orchestrator.up([self.target], scale={self.target: count}, deadline=deadline)
        return self.orchestrator.containers(self.target)

    def finish(self) -> None:
        if self.options.keep_old:
            self._context.console.step(f"the old containers are kept: rollback {self.options.service} switches back")
        else:
            super().finish()

    def describe(self) -> list[str]:
        sides = self.ready.project.before(self.target)
        return [
            *([f"{self.orchestrator.name} up: {', '.join(sides)}"] if sides else []),
            f"{self.orchestrator.name} up: {self.wanted} container(s) of {self.target} "
            f"in project {self.orchestrator.project}",
        ]

    def describe_finish(self) -> list[str]:
        return ["keep the old containers"] if self.options.keep_old else super().describe_finish()

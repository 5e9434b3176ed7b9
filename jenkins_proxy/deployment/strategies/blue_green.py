"""The strategy ``blue-green``: the other colour comes up as a project of its own, and then the route switches."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment.context import BLUE_GREEN, Ready, Request, World
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.base import Before, Change
from jenkins_proxy.model import Container


class BlueGreen(Change):
    """All users meet the old colour, and from one moment on all meet the new one."""

    name = BLUE_GREEN

    def __init__(self, request: Request, world: World, ready: Ready, before: Before) -> None:
        super().__init__(request, world, ready, before)
        self.colour = colors.next_after(before.route)
        self.route = dataclasses.replace(request.route, color=self.colour)
        self.registry_name = self.route.registry_name
        self.orchestrator = colors.orchestrator(request, world, self.colour, ready.orchestrator.name)

    def bring_up(self, count: int) -> list[Container]:
        base, deadline = self.ready.orchestrator, self._world.deadline
        # The side services stay in the base project: both colours use the same database.
        sides = self.ready.project.before(self.target)
        if sides:
            base.up(sides, deadline=deadline)
        if not base.containers(self.target):
            # Starts none: compose makes the networks and volumes that the colours share and no side service has.
            base.scale(self.target, 0, deadline=deadline)
        self.orchestrator = base.coloured(self.target, service=self.request.service, colour=self.colour)
        self.orchestrator.up([self.target], scale={self.target: count}, deadline=deadline)
        return self.orchestrator.containers(self.target)

    def finish(self) -> None:
        if self.request.keep_old:
            self._world.console.step(f"the old containers are kept: rollback {self.request.service} switches back")
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
        return ["keep the old containers"] if self.request.keep_old else super().describe_finish()

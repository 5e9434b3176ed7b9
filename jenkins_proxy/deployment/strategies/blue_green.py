"""The strategy ``blue-green``: the other color comes up as a project of its own, and then the route switches."""

from __future__ import annotations

from jenkins_proxy.deployment.context import BLUE_GREEN
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies.base import Situation, Strategy
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import SurgeOrchestrator


class BlueGreen(Strategy):
    """All users meet the old color, and from one moment on all meet the new one."""

    name = BLUE_GREEN
    orchestrator: SurgeOrchestrator

    def __init__(
        self,
        situation: Situation,
        orchestrator: SurgeOrchestrator,
        reason: str,
        *,
        base: SurgeOrchestrator,
        route: Route,
    ) -> None:
        """A deploy of the color that does not serve.

        :param orchestrator: of the color's project, without files: enough to list, stop, remove and restore.
        :param base: of the project that the files describe.
        :param route: the route to serve, with the color.
        """
        super().__init__(situation, orchestrator, reason)
        self.route = route
        self.registry_name = route.registry_name
        self._base = base
        self._color = route.color

    def bring_up(self, count: int) -> list[Container]:
        base, deadline = self._base, self._context.deadline
        # The side services stay in the base project: both colors use the same database.
        self.sides.start()
        if not base.containers(self.target):
            self._context.confirm()
            # Starts none: compose makes the networks and volumes that the colors share and no side service has.
            base.scale(self.target, 0, deadline=deadline)
        self.orchestrator = base.for_color(self.target, service=self.options.service, color=self._color)
        self._context.confirm()
        self.orchestrator.up([self.target], scale={self.target: count}, deadline=deadline)
        return self.orchestrator.containers(self.target)

    def finish(self, candidates: Candidates | None) -> None:
        if self.options.keep_old:
            self._context.console.step(f"the old containers are kept: rollback {self.options.service} switches back")
        else:
            super().finish(candidates)

    def describe(self) -> list[str]:
        return [
            *self.sides.describe(),
            f"{self.orchestrator.name} up: {self.wanted} container(s) of {self.target} "
            f"in project {self.orchestrator.project}",
        ]

    def describe_finish(self) -> list[str]:
        return ["keep the old containers"] if self.options.keep_old else super().describe_finish()

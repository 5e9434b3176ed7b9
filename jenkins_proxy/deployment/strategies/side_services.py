"""The services beside the target: what it needs is started where it does not run, what was asked for is brought up."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.deployment.context import Context, Ready
from jenkins_proxy.deployment.strategies import steady
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Orchestrator, Snapshot, SurgeOrchestrator


@dataclass(frozen=True)
class SideServices:
    """The services beside the target that one deploy touches; every other one of the project is left alone.

    :ivar snapshots: of each, from before the deploy; what is needed stands first.
    """

    ready: Ready
    context: Context
    snapshots: tuple[Snapshot, ...] = ()

    def start(self) -> None:
        """Have running what the target needs, and bring up what was asked for and does not need the target."""
        orchestrator, before = self.ready.orchestrator, self.ready.sides.before
        together, deadline = self._together, self.context.deadline
        self.context.confirm()
        orchestrator.start_needs([*before, *together], deadline=deadline)
        if before:
            self.context.confirm()
            orchestrator.up(before, deadline=deadline)
            self.context.confirm()
            # Now that these are there, what the target waits for of them.
            orchestrator.start_needs(together, done=self._started, deadline=deadline)

    def bring_up_after(self, orchestrator: Orchestrator) -> None:
        """Bring up what was asked for and needs the target.

        :param orchestrator: of the project that is deployed into.
        """
        after, deadline = self.ready.sides.after, self.context.deadline
        if after:
            self.context.confirm()
            orchestrator.start_needs(after, done=self._started, deadline=deadline)
            self.context.confirm()
            orchestrator.up(after, deadline=deadline)

    def bring_up_others(self, settle: float) -> None:
        """Bring up the other targets, but for those that the target needs, and come back when all of them are steady.

        :param settle: seconds for which they have to be so, at the least.
        :raises ContainerDied: when one of their containers ends. Unhealthy: when its HEALTHCHECK gives it up.
        :raises WaitTimeout: when they are not steady in time.
        """
        sides, orchestrator, deadline = self.ready.sides, self.ready.orchestrator, self.context.deadline
        if sides.late:
            self.context.confirm()
            orchestrator.start_needs(sides.late, done=self._started, deadline=deadline)
            self.context.confirm()
            orchestrator.up(sides.late, deadline=deadline)
        before = {container.id for one in self.snapshots for container in one.containers}
        steady.wait(self.context, orchestrator, sides.others, settle=settle, before=before)

    @property
    def _started(self) -> list[str]:
        """What :meth:`start` starts."""
        return self.ready.project.needs([*self.ready.sides.before, *self._together])

    @property
    def _together(self) -> list[str]:
        return [self.ready.target.name, *self.ready.sides.together]

    def forget(self) -> None:
        """Remove the volumes without a name that one-shots had before this deploy ran them again."""
        orchestrator, one_shots = self.ready.orchestrator, self.ready.sides.one_shots
        if isinstance(orchestrator, SurgeOrchestrator):
            orchestrator.forget([one for one in self.snapshots if one.service in one_shots])

    def failed(self) -> list[Container]:
        """The containers of these services that have failed since the deploy began."""
        before = {container.id for one in self.snapshots for container in one.containers if container.failed}
        found = [c for name in self.ready.sides.every for c in self.ready.orchestrator.containers(name)]
        return [container for container in found if container.failed and container.id not in before]

    def describe(self) -> list[str]:
        """How :meth:`start` would go, in words."""
        sides = self.ready.sides
        start = [name for name in sides.needs if name not in sides.one_shots]
        return [
            *([f"start where it does not run: {', '.join(start)}"] if start else []),
            *([f"run to its end: {', '.join(sides.one_shots)}"] if sides.one_shots else []),
            *([f"{self.ready.orchestrator.name} up: {', '.join(sides.before)}"] if sides.before else []),
        ]

    def describe_others(self) -> list[str]:
        """How :meth:`bring_up_others` would go, in words."""
        late = self.ready.sides.late
        return [f"{self.ready.orchestrator.name} up: {', '.join(late)}; wait until each is steady"] if late else []

    def describe_after(self) -> list[str]:
        """How :meth:`bring_up_after` would go, in words."""
        after = self.ready.sides.after
        return [f"{self.ready.orchestrator.name} up: {', '.join(after)}"] if after else []

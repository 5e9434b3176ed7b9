"""The strategy ``rolling`` where a Swarm replaces and stops the containers by itself, undrained and when it likes.

So nothing that users depend on is ever in its hands: stand-ins, a service of their own beside the old one, take over
first. They are the new containers, and prove themselves while the old ones still serve; only then the old ones are
drained, and Swarm replaces them while nobody looks. In the end the stand-ins are drained and go. Scaling down goes the
same way: which tasks end is Swarm's choice, so all of them are drained while twins of theirs serve.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import PATIENCE, ROLLING, Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps import drain, proxy_route, wait
from jenkins_proxy.deployment.strategies.base import PreviousState, Strategy
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed


class SwarmRolling(Strategy):
    """Requests are answered all the time, whatever the image does with SIGTERM."""

    name = ROLLING

    def __init__(self, options: DeployOptions, context: Context, ready: Ready, before: PreviousState) -> None:
        super().__init__(options, context, ready, before)
        self._stand_ins: Sequence[Container] = ()

    @property
    def keep_running(self) -> Sequence[Container]:
        return self.before.running

    def bring_up(self, count: int) -> list[Container]:
        new = self.orchestrator.start_standby(self.target, count, deadline=self._context.deadline)
        self._stand_ins = new
        return new

    def started(self) -> list[Container]:
        return self.orchestrator.standby(self.target)

    def restore(self, context: Context) -> list[Container]:
        restored = super().restore(context)
        self.orchestrator.remove_standby(self.target, deadline=context.deadline)
        return restored

    def finish(self) -> matching.Matching:
        context, orchestrator = self._context, self.orchestrator
        context.console.step("the new containers stand in while Swarm replaces the old ones")
        drain.drain(context, self.route, self.before.running)
        orchestrator.up(scale={self.target: self.wanted}, deadline=context.deadline)
        return _hand_back(context, orchestrator, self.target, self.route, self._stand_ins)

    def describe(self) -> list[str]:
        sides = self.ready.project.before(self.target)
        found = [f"{self.orchestrator.name} deploy: {', '.join(sides)}"] if sides else []
        return [*found, f"start {self.wanted} new container(s) of {self.target} beside the old ones, as stand-ins"]

    def describe_finish(self) -> list[str]:
        return [
            *(f"drain {container.name}" for container in self.before.running),
            f"{self.orchestrator.name} deploy: all services; Swarm replaces the drained containers",
            "drain and remove the stand-ins",
        ]


@contextlib.contextmanager
def with_standby(
    context: Context, orchestrator: Orchestrator, target: str, route: Route, running: Sequence[Container]
) -> Iterator[None]:
    """Within the block the target's containers are drained and twins of theirs serve; afterwards what is left does.

    :param running: the target's containers now.
    """
    context.console.step("twins stand in while Swarm chooses which containers end")
    twins = orchestrator.twin(target, len(running), deadline=context.deadline)
    try:
        wait.for_containers(context, orchestrator, route.registry_name, twins, keep_running=running)
        proxy_route.put(context, route)
        drain.drain(context, route, running)
        yield
    finally:
        # Drained containers must not be left so because the time was up.
        patient = dataclasses.replace(context, deadline=Deadline(max(PATIENCE, context.deadline.remaining)))
        with undisturbed():
            remove_leftover_standby(patient, orchestrator, target, route)


def remove_leftover_standby(context: Context, orchestrator: Orchestrator, target: str, route: Route | None) -> None:
    """End what stands in for a service, once the service's own containers serve again.

    Where none of its own runs, the stand-ins are all that users have: they are left for the deploy that comes.
    """
    standby = [one for one in orchestrator.standby(target) if one.running]
    if standby and route is not None and any(one.running for one in orchestrator.containers(target)):
        _hand_back(context, orchestrator, target, route, standby)


def _hand_back(
    context: Context, orchestrator: Orchestrator, target: str, route: Route, standby: Sequence[Container]
) -> matching.Matching:
    """Lead users from the stand-ins to the service's own containers, and end the stand-ins.

    :return: how the service's own containers are registered.
    """
    own = [container for container in orchestrator.containers(target) if container.running]
    found = wait.for_containers(context, orchestrator, route.registry_name, own, keep_running=standby)
    drain.resume(context, route, own)
    proxy_route.put(context, route)
    drain.drain(context, route, standby)
    context.console.step("stopping the stand-ins")
    orchestrator.remove_standby(target, deadline=context.deadline)
    return found

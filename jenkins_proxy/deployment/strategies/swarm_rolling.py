"""The strategy ``rolling`` where a Swarm replaces and stops the containers by itself, undrained and when it likes.

So nothing that users depend on is ever in its hands: a standby, a service of its own next to the old one, takes over
first. Its containers are the new ones, and prove themselves while the old ones still serve; only then the old ones are
drained, and Swarm replaces them while they get no request. In the end the standby is drained and goes. Scaling down
goes the same way: Swarm chooses which tasks end, so all of them are drained while a clone of them serves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import ROLLING, Context
from jenkins_proxy.deployment.steps import drain, proxy_route, wait
from jenkins_proxy.deployment.strategies.base import PROVING, DeployRecord, Serving, Situation, Strategy
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import SwarmOrchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed


class SwarmRolling(Strategy):
    """Requests are answered all the time, whatever the image does with SIGTERM."""

    name = ROLLING
    orchestrator: SwarmOrchestrator

    def __init__(self, situation: Situation, orchestrator: SwarmOrchestrator, reason: str, *, route: Route) -> None:
        """A deploy that hands users over to a standby and back.

        :param route: the route to serve: without one, users could not be handed over.
        """
        super().__init__(situation, orchestrator, reason)
        self._served = route
        self._standby: Sequence[Container] = ()

    @property
    def keep_running(self) -> Sequence[Container]:
        return self.before.running

    def bring_up(self, count: int) -> list[Container]:
        new = self.orchestrator.start_standby(self.target, count, deadline=self._context.deadline)
        self._standby = new
        return new

    def started(self) -> list[Container]:
        return self.orchestrator.standby(self.target)

    def revert(self, context: Context) -> Serving:
        serving = super().revert(context)
        self.orchestrator.remove_standby(self.target, deadline=context.deadline)
        return serving

    def finish(self) -> matching.Matching:
        context, orchestrator = self._context, self.orchestrator
        context.console.step("the standby serves while Swarm replaces the old ones")
        drain.drain(context, self._served, self.before.running)
        orchestrator.up(scale={self.target: self.wanted}, deadline=context.deadline)
        return _hand_back(context, orchestrator, self.target, self._served, self._standby)

    def describe(self) -> list[str]:
        sides = self.ready.project.before(self.target)
        steps = [f"{self.orchestrator.name} deploy: {', '.join(sides)}"] if sides else []
        return [*steps, f"start {self.wanted} new container(s) of {self.target} as a standby beside the old ones"]

    def describe_finish(self) -> list[str]:
        return [
            *(f"drain {container.name}" for container in self.before.running),
            f"{self.orchestrator.name} deploy: all services; Swarm replaces the drained containers",
            "drain and remove the standby",
        ]


def resume_on_swarm(
    record: DeployRecord | None, service: str, context: Context, orchestrator: SwarmOrchestrator, target: str
) -> None:
    """End a standby that a command which was broken off has left.

    :param record: of a deploy; None where it ended in order: a scaling writes none, and can leave a standby, too.
    """
    before = record.route if record and record.phase == PROVING else None
    if before is not None:
        proxy_route.put(context, before, allow_empty=True)
    route = before or proxy_route.if_reachable(context, service)
    remove_leftover_standby(context, orchestrator, target, route)


@contextlib.contextmanager
def with_standby(
    context: Context, orchestrator: SwarmOrchestrator, target: str, route: Route, running: Sequence[Container]
) -> Iterator[None]:
    """Within the block the target's containers are drained and a clone of them serves; afterwards what is left does.

    :param running: the target's containers now.
    """
    context.console.step("a standby serves while Swarm chooses which containers end")
    standby = orchestrator.clone_standby(target, len(running), deadline=context.deadline)
    try:
        wait.for_containers(context, orchestrator, route.registry_name, standby, keep_running=running)
        proxy_route.put(context, route)
        drain.drain(context, route, running)
        yield
    finally:
        # Drained containers must not be left so because the time was up.
        seconds = max(context.timing.revert, context.deadline.remaining)
        with undisturbed():
            remove_leftover_standby(context.with_deadline(Deadline(seconds)), orchestrator, target, route)


def remove_leftover_standby(
    context: Context, orchestrator: SwarmOrchestrator, target: str, route: Route | None
) -> None:
    """End a service's standby, once the service's own containers serve again.

    Where none of its own runs, the standby is all that users have: it is left for the deploy that comes.
    """
    standby = [container for container in orchestrator.standby(target) if container.running]
    own_run = any(container.running for container in orchestrator.containers(target))
    if standby and route is not None and own_run:
        _hand_back(context, orchestrator, target, route, standby)


def _hand_back(
    context: Context, orchestrator: SwarmOrchestrator, target: str, route: Route, standby: Sequence[Container]
) -> matching.Matching:
    """Lead users from the standby to the service's own containers, and end the standby.

    :return: how the service's own containers are registered.
    """
    own = [container for container in orchestrator.containers(target) if container.running]
    found = wait.for_containers(context, orchestrator, route.registry_name, own, keep_running=standby)
    drain.resume(context, route, own)
    proxy_route.put(context, route)
    drain.drain(context, route, standby)
    context.console.step("stopping the standby")
    orchestrator.remove_standby(target, deadline=context.deadline)
    return found

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

from jenkins_proxy.deployment import context, matching
from jenkins_proxy.deployment.context import ROLLING, Ready, Request, World
from jenkins_proxy.deployment.steps import drain, proxy_route, wait
from jenkins_proxy.deployment.strategies.base import Before, Change
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed


class Handover(Change):
    """Requests are answered all the time, whatever the image does with SIGTERM."""

    name = ROLLING

    def __init__(self, request: Request, world: World, ready: Ready, before: Before) -> None:
        super().__init__(request, world, ready, before)
        self._stand_ins: Sequence[Container] = ()

    @property
    def beside(self) -> Sequence[Container]:
        return self.before.running

    def bring_up(self, count: int) -> list[Container]:
        new = self.orchestrator.stand_in(self.target, count, deadline=self._world.deadline)
        self._stand_ins = new
        return new

    def started(self) -> list[Container]:
        return self.orchestrator.stand_ins(self.target)

    def restore(self, world: World) -> list[Container]:
        restored = super().restore(world)
        self.orchestrator.end_stand_in(self.target, deadline=world.deadline)
        return restored

    def finish(self) -> matching.Matching:
        world, orchestrator = self._world, self.orchestrator
        world.console.step("the new containers stand in while Swarm replaces the old ones")
        drain.drain(world, self.route, self.before.running)
        orchestrator.up(scale={self.target: self.wanted}, deadline=world.deadline)
        return _hand_back(world, orchestrator, self.target, self.route, self._stand_ins)

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
def covered(
    world: World, orchestrator: Orchestrator, target: str, route: Route, running: Sequence[Container]
) -> Iterator[None]:
    """Within the block the target's containers are drained and twins of theirs serve; afterwards what is left does.

    :param running: the target's containers now.
    """
    world.console.step("twins stand in while Swarm chooses which containers end")
    twins = orchestrator.twin(target, len(running), deadline=world.deadline)
    try:
        wait.for_containers(world, orchestrator, route.registry_name, twins, beside=running)
        proxy_route.put(world, route)
        drain.drain(world, route, running)
        yield
    finally:
        # Drained containers must not be left so because the time was up.
        patient = dataclasses.replace(world, deadline=Deadline(max(context.PATIENCE, world.deadline.remaining)))
        with undisturbed():
            put_in_order(patient, orchestrator, target, route)


def put_in_order(world: World, orchestrator: Orchestrator, target: str, route: Route | None) -> None:
    """End what stands in for a service, once the service's own containers serve again.

    Where none of its own runs, the stand-ins are all that users have: they are left for the deploy that comes.
    """
    stand_ins = [one for one in orchestrator.stand_ins(target) if one.running]
    if stand_ins and route is not None and any(one.running for one in orchestrator.containers(target)):
        _hand_back(world, orchestrator, target, route, stand_ins)


def _hand_back(
    world: World, orchestrator: Orchestrator, target: str, route: Route, stand_ins: Sequence[Container]
) -> matching.Matching:
    """Lead users from the stand-ins to the service's own containers, and end the stand-ins.

    :return: how the service's own containers are registered.
    """
    own = [container for container in orchestrator.containers(target) if container.running]
    found = wait.for_containers(world, orchestrator, route.registry_name, own, beside=stand_ins)
    drain.resume(world, route, own)
    proxy_route.put(world, route)
    drain.drain(world, route, stand_ins)
    world.console.step("stopping the stand-ins")
    orchestrator.end_stand_in(target, deadline=world.deadline)
    return found

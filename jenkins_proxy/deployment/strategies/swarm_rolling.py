"""The strategy ``rolling`` where a Swarm replaces and stops the containers by itself, undrained and when it likes.

So nothing that users depend on is ever in its hands: a standby, a service of its own next to the old one, takes over
first. Its containers are the candidates: once they are verified all users move to them in one moment, and Swarm
replaces the old ones while these get no request. What Swarm has started is verified and promoted in turn, and the
standby is drained and goes. Scaling down goes the same way: Swarm chooses which tasks end, so all of them are drained
while a clone of them serves.

Blue-green is the same: all users move in one moment. Which color serves is of no meaning then, as no other one is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import BLUE_GREEN, ROLLING, Context
from jenkins_proxy.deployment.steps import drain, proxy_route, wait
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.steps.hold import Hold
from jenkins_proxy.deployment.strategies.base import Serving, Situation, Strategy
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Snapshot, SwarmOrchestrator
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
        self.sides.start()
        self._context.confirm()
        new = self.orchestrator.start_standby(self.target, count, deadline=self._context.deadline)
        self._standby = new
        return new

    def started(self) -> list[Container]:
        return self.orchestrator.standby(self.target)

    def revert(self, context: Context) -> Serving:
        serving = super().revert(context)
        context.confirm()
        self.orchestrator.remove_standby(self.target, deadline=context.deadline)
        return serving

    def finish(self, candidates: Candidates | None) -> matching.Matching:
        context, orchestrator = self._context, self.orchestrator
        context.console.step("the standby serves while Swarm replaces the old ones")
        drain.drain(context, self._served, self.before.running)
        if candidates is not None:
            # Swarm may give a new task the address of an old one, which is no candidate's.
            candidates.renew(wait.addresses(context, self._served.registry_name, self._standby))
        context.confirm()
        orchestrator.up([self.target], scale={self.target: self.wanted}, deadline=context.deadline)
        found = hand_back(context, orchestrator, self.target, self._served, self._standby, candidates=candidates)
        self.sides.bring_up_after(self.orchestrator)
        return found

    def describe(self) -> list[str]:
        start = f"start {self.wanted} new container(s) of {self.target} as a standby beside the old ones"
        return [*self.sides.describe(), start]

    def describe_finish(self) -> list[str]:
        return [
            *(f"drain {container.name}" for container in self.before.running),
            f"{self.orchestrator.name} deploy: {self.target}; Swarm replaces the drained containers",
            "drain and remove the standby",
            *self.sides.describe_after(),
        ]


class SwarmBlueGreen(SwarmRolling):
    """The same, asked for by the name of what it grants: no user meets two versions."""

    name = BLUE_GREEN


def resume_on_swarm(
    context: Context,
    orchestrator: SwarmOrchestrator,
    target: str,
    route: Route | None,
    *,
    hold: Hold | None,
    known: Sequence[str] | None,
    take_over: Callable[[Route], Candidates],
) -> Candidates | None:
    """End a standby that a command which was broken off has left. A scaling leaves no record, and can leave one, too.

    :param route: that users have now.
    :param hold: that was left; None where there is none.
    :param known: the IDs of the containers that were there before; None where no record says it.
    :param take_over: puts a hold of our own in its place: its key is lost with the deploy.
    :return: the candidates of the hold of our own, which the caller ends; None where there was no need of one.
    """
    standby = [container for container in orchestrator.standby(target) if container.running]
    own = [container for container in orchestrator.containers(target) if container.running]
    if hold and not hold.promoted and not standby and known is not None and not known:
        context.confirm()
        context.console.step("removing what it has left")
        orchestrator.restore([Snapshot(target)], deadline=context.deadline)
        return None
    if not standby or not own:
        return None
    if hold and not hold.promoted and not _serve(hold, standby):
        # No user has met it.
        context.confirm()
        context.console.step("removing the standby that it has left")
        orchestrator.remove_standby(target, deadline=context.deadline)
        return None
    if route is None:
        return None
    if hold and _serve(hold, own):
        # Users meet the service's own already.
        _end_standby(context, orchestrator, target, route, standby)
        return None
    candidates = take_over(route) if hold else None
    hand_back(context, orchestrator, target, route, standby, candidates=candidates)
    return candidates


def _serve(hold: Hold, containers: Sequence[Container]) -> bool:
    """Whether these are all among those that users meet, by a hold."""
    return all(any(str(a) in hold.serving for a in matching.addresses(container)) for container in containers)


@contextlib.contextmanager
def with_standby(
    context: Context, orchestrator: SwarmOrchestrator, target: str, route: Route, running: Sequence[Container]
) -> Iterator[None]:
    """Within the block the target's containers are drained and a clone of them serves; afterwards what is left does.

    :param running: the target's containers now.
    """
    context.console.step("a standby serves while Swarm chooses which containers end")
    context.confirm()
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
        hand_back(context, orchestrator, target, route, standby)


def hand_back(
    context: Context,
    orchestrator: SwarmOrchestrator,
    target: str,
    route: Route,
    standby: Sequence[Container],
    *,
    candidates: Candidates | None = None,
) -> matching.Matching:
    """Lead users from the standby to the service's own containers, and end the standby.

    :param candidates: of the hold under which the own containers have joined; None when users may meet them.
    :return: how the service's own containers are registered.
    """
    own = [container for container in orchestrator.containers(target) if container.running]
    found = wait.for_containers(context, orchestrator, route.registry_name, own, keep_running=standby)
    drain.resume(context, route, own)
    if candidates is None:
        proxy_route.put(context, route)
    else:
        addresses = matching.instance_addresses(found)
        candidates.verify(addresses, orchestrator, own)
        candidates.promote(addresses)
    _end_standby(context, orchestrator, target, route, standby)
    return found


def _end_standby(
    context: Context, orchestrator: SwarmOrchestrator, target: str, route: Route, standby: Sequence[Container]
) -> None:
    drain.drain(context, route, standby)
    context.confirm()
    context.console.step("stopping the standby")
    orchestrator.remove_standby(target, deadline=context.deadline)

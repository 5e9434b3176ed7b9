"""After a deploy that was broken off: undo what it had not proven, so that the next one begins from what served."""

from __future__ import annotations

from jenkins_proxy.deployment.context import BLUE_GREEN, ROLLING, Ready, World
from jenkins_proxy.deployment.failure.intent_log import PROVING, RETIRING, Entry, Journal
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import drain, proxy_route
from jenkins_proxy.deployment.strategies import swarm_rolling
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import Orchestrator


def recover(journal: Journal, world: World, ready: Ready, report: Report) -> int:
    """Put things in order where the deploy before us was killed, or could not be rolled back.

    Before its new containers had proven themselves, they go, and the route that served comes back. Afterwards the old
    ones go, as they would have. A broken ``recreate`` has nothing to go back to, as compose had removed the old
    containers: the next deploy finishes it.

    The journal's entry stays, for the change that comes to write its own over it.

    :param ready: for the deploy that comes.
    :param report: gets what is to be said when that one fails.
    :return: how many instances that deploy wanted; 0 when it had ended in order.
    """
    left = journal.read()
    if left is not None:
        report.afterwards = "of what the deploy before had left, some may be left still"
        world.console.warning(f"the deploy begun at {left.since} was broken off while {left.phase} ({left.strategy})")
    if not ready.orchestrator.surges:
        _end_stand_ins(left, journal.service, world, ready)
    elif left is not None:
        _undo_or_finish(left, journal.service, world, ready.orchestrator.name)
    if left is None:
        return 0
    report.afterwards = "what the deploy before had left is in order, and nothing else was changed"
    return left.count


def _end_stand_ins(left: Entry | None, service: str, world: World, ready: Ready) -> None:
    """Also without an entry: a scaling writes none, and leaves its stand-ins when it is killed."""
    before = left.route if left and left.phase == PROVING else None
    if before is not None:
        proxy_route.put(world, before, allow_empty=True)
    route = before or proxy_route.if_reachable(world, service)
    swarm_rolling.put_in_order(world, ready.orchestrator, ready.target.name, route)


def _undo_or_finish(left: Entry, service: str, world: World, kind: str) -> None:
    route = proxy_route.if_reachable(world, service)
    orchestrator, _ = detect.choose(world.settings, world.console, project=left.project, files=(), wanted=kind)
    containers = orchestrator.containers(left.target)
    old = [container for container in containers if container.id in left.old and container.running]
    new = [container for container in containers if container.id not in left.old]
    if left.phase == PROVING and (left.strategy == BLUE_GREEN or (left.strategy == ROLLING and old)):
        if left.route is not None:
            proxy_route.put(world, left.route, allow_empty=True)
            # It may have been killed between a drain and the container's end.
            drain.resume(world, left.route, old)
        _remove(world, orchestrator, left.route or route, new)
    elif left.phase == RETIRING and left.strategy == ROLLING:
        _remove(world, orchestrator, route, old)
    else:
        world.console.step("going on from there")


def _remove(world: World, orchestrator: Orchestrator, route: Route | None, containers: list[Container]) -> None:
    if containers:
        world.console.step("removing what it has left")
    drain.retire(world, orchestrator, route, containers)

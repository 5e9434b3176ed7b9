"""After a deploy that was broken off: undo what it had not proven, so that the next one begins from what served."""

from __future__ import annotations

from jenkins_proxy.deployment.context import BLUE_GREEN, ROLLING, Context, Ready
from jenkins_proxy.deployment.failure.intent_log import PROVING, RETIRING, DeployRecord, IntentLog
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import drain, proxy_route
from jenkins_proxy.deployment.strategies import swarm_rolling
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import Orchestrator


def recover(intent_log: IntentLog, context: Context, ready: Ready, report: Report) -> int:
    """Put things in order where the deploy before us was killed, or could not be rolled back.

    Before its new containers had proven themselves, they go, and the route that served comes back. Afterwards the old
    ones go, as they would have. A broken ``recreate`` has nothing to go back to, as compose had removed the old
    containers: the next deploy finishes it.

    The journal's entry stays, for the change that comes to write its own over it.

    :param ready: for the deploy that comes.
    :param report: gets what is to be said when that one fails.
    :return: how many instances that deploy wanted; 0 when it had ended in order.
    """
    left = intent_log.read()
    if left is not None:
        report.afterwards = "of what the deploy before had left, some may be left still"
        context.console.warning(f"the deploy begun at {left.since} was broken off while {left.phase} ({left.strategy})")
    if not ready.orchestrator.surges:
        _end_stand_ins(left, intent_log.service, context, ready)
    elif left is not None:
        _undo_or_finish(left, intent_log.service, context, ready.orchestrator.name)
    if left is None:
        return 0
    report.afterwards = "what the deploy before had left is in order, and nothing else was changed"
    return left.count


def _end_stand_ins(left: DeployRecord | None, service: str, context: Context, ready: Ready) -> None:
    """Also without an entry: a scaling writes none, and leaves its stand-ins when it is killed."""
    before = left.route if left and left.phase == PROVING else None
    if before is not None:
        proxy_route.put(context, before, allow_empty=True)
    route = before or proxy_route.if_reachable(context, service)
    swarm_rolling.remove_leftover_standby(context, ready.orchestrator, ready.target.name, route)


def _undo_or_finish(left: DeployRecord, service: str, context: Context, kind: str) -> None:
    route = proxy_route.if_reachable(context, service)
    orchestrator, _ = detect.choose(context.settings, context.console, project=left.project, files=(), wanted=kind)
    containers = orchestrator.containers(left.target)
    old = [container for container in containers if container.id in left.old and container.running]
    new = [container for container in containers if container.id not in left.old]
    if left.phase == PROVING and (left.strategy == BLUE_GREEN or (left.strategy == ROLLING and old)):
        if left.route is not None:
            proxy_route.put(context, left.route, allow_empty=True)
            # It may have been killed between a drain and the container's end.
            drain.resume(context, left.route, old)
        _remove(context, orchestrator, left.route or route, new)
    elif left.phase == RETIRING and left.strategy == ROLLING:
        _remove(context, orchestrator, route, old)
    else:
        context.console.step("going on from there")


def _remove(context: Context, orchestrator: Orchestrator, route: Route | None, containers: list[Container]) -> None:
    if containers:
        context.console.step("removing what it has left")
    drain.retire(context, orchestrator, route, containers)

"""Which strategy a deploy takes, as code to run."""

from __future__ import annotations

from jenkins_proxy.flow import colours, routing
from jenkins_proxy.flow.blue_green import BlueGreen
from jenkins_proxy.flow.change import Before, Change
from jenkins_proxy.flow.handover import Handover
from jenkins_proxy.flow.preflight import Ready
from jenkins_proxy.flow.recreate import Recreate
from jenkins_proxy.flow.request import BLUE_GREEN, ROLLING, Request, World
from jenkins_proxy.flow.rolling import Rolling


def begin(request: Request, world: World, ready: Ready, count: int = 0) -> Change:
    """Remember what serves now, and make ready to replace it. Nothing is changed yet.

    :param count: how many instances there were, where a killed deploy has left it written; else 0.
    """
    route = routing.current(world.proxy, request.service) if request.route is not None else None
    serves = route.color if route else ""
    into = colours.next_after(route) if ready.strategy == BLUE_GREEN else ""
    kind, target = ready.orchestrator.name, ready.target.name
    home = colours.orchestrator(request, world, into, kind) if into else ready.orchestrator
    elsewhere, others = None, []
    if serves != into:
        elsewhere = colours.orchestrator(request, world, serves, kind)
        others = [container for container in elsewhere.containers(target) if container.running]
    known = frozenset(container.id for container in home.containers(target))
    before = Before(route, home.snapshot(target), known, elsewhere, tuple(others), count)
    if ready.strategy == BLUE_GREEN:
        return BlueGreen(request, world, ready, before)
    if ready.strategy == ROLLING and ready.orchestrator.surges:
        return Rolling(request, world, ready, before)
    # With nobody served yet, or served past the proxy, there is nothing to hand over.
    if ready.strategy == ROLLING and route and (before.running or ready.orchestrator.stand_ins(target)):
        return Handover(request, world, ready, before)
    return Recreate(request, world, ready, before)

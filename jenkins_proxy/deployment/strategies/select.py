"""Which strategy a deploy takes, as code to run."""

from __future__ import annotations

from jenkins_proxy.deployment.context import AUTO, BLUE_GREEN, RECREATE, ROLLING, Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.base import PreviousState, Strategy
from jenkins_proxy.deployment.strategies.blue_green import BlueGreen
from jenkins_proxy.deployment.strategies.recreate import Recreate
from jenkins_proxy.deployment.strategies.rolling import Rolling
from jenkins_proxy.deployment.strategies.swarm_rolling import SwarmRolling
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Service


def begin(options: DeployOptions, context: Context, ready: Ready, count: int = 0) -> Strategy:
    """Remember what serves now, and make ready to replace it. Nothing is changed yet.

    :param count: how many instances there were, where a killed deploy has left it written; else 0.
    """
    route = proxy_route.current(context.proxy, options.service) if options.route is not None else None
    serves = route.color if route else ""
    into = colors.next_after(route) if ready.strategy == BLUE_GREEN else ""
    kind, target = ready.orchestrator.name, ready.target.name
    home = colors.orchestrator(options, context, into, kind) if into else ready.orchestrator
    elsewhere, others = None, []
    if serves != into:
        elsewhere = colors.orchestrator(options, context, serves, kind)
        others = [container for container in elsewhere.containers(target) if container.running]
    known = frozenset(container.id for container in home.containers(target))
    before = PreviousState(route, home.snapshot(target), known, elsewhere, tuple(others), count)
    if ready.strategy == BLUE_GREEN:
        return BlueGreen(options, context, ready, before)
    if ready.strategy == ROLLING and ready.orchestrator.surges:
        return Rolling(options, context, ready, before)
    # With nobody served yet, or served past the proxy, there is nothing to hand over.
    if ready.strategy == ROLLING and route and (before.running or ready.orchestrator.standby(target)):
        return SwarmRolling(options, context, ready, before)
    return Recreate(options, context, ready, before)


def choose_strategy(
    options: DeployOptions, orchestrator: Orchestrator, project: ComposeProject, target: Service
) -> tuple[str, str]:
    """The strategy to use and why."""
    if options.strategy == RECREATE:
        return RECREATE, "asked for"
    if target.obstacle:
        asked = "" if options.strategy == AUTO else f"instead of {options.strategy}, as "
        return RECREATE, f"{asked}new containers cannot run beside the old ones: {target.obstacle}"
    if not orchestrator.surges:
        return ROLLING, f"new containers stand in while {orchestrator.name} replaces the old ones"
    if options.strategy == BLUE_GREEN:
        dependents = project.after(target.name)
        if dependents:
            return ROLLING, f"instead of blue-green: {', '.join(dependents)} needs {target.name} in the same project"
        return BLUE_GREEN, "asked for"
    return ROLLING, "new containers can run beside the old ones" if options.strategy == AUTO else "asked for"

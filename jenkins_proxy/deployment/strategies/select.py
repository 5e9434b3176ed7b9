"""Which strategy a deploy takes, and which one resumes a deploy that was broken off: decided here only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import AUTO, BLUE_GREEN, RECREATE, Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.steps.hold import Hold
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.base import PreviousState, Situation, Strategy
from jenkins_proxy.deployment.strategies.blue_green import BlueGreen
from jenkins_proxy.deployment.strategies.record import DeployRecord, Interrupted
from jenkins_proxy.deployment.strategies.recreate import Recreate
from jenkins_proxy.deployment.strategies.rolling import Rolling
from jenkins_proxy.deployment.strategies.swarm_rolling import SwarmBlueGreen, SwarmRolling
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import STACK, Orchestrator, SurgeOrchestrator, SwarmOrchestrator, color_project

SCALE = "scale"
"""What a scaling calls itself in its record: what it has started goes as with any strategy."""

BY_NAME: Mapping[str, type[Strategy]] = {
    SCALE: Rolling,
    **{strategy.name: strategy for strategy in (Recreate, Rolling, BlueGreen)},
}


def select(options: DeployOptions, context: Context, ready: Ready, count: int = 0) -> Strategy:
    """Choose the strategy, by what is asked for, what the target allows, and what serves now. Nothing is changed yet.

    :param ready: what preflight found.
    :param count: how many instances there were, where a killed deploy has left it written; else 0.
    :return: the strategy, with what served before it: its ``name`` is the one to print, report and record, and its
        ``reason`` says why it is that one.
    """
    route = proxy_route.current(context.proxy, options.service) if options.route is not None else None
    now = _Now(options, context, ready, route, count)
    orchestrator, target = ready.orchestrator, ready.target
    reason = _why_recreate(options, target.obstacle or _state(orchestrator, target.name, context.console))
    if not reason and isinstance(orchestrator, SwarmOrchestrator):
        situation = now.situation(orchestrator)
        # With no users yet, or users who come past the proxy, there is nobody to hand over.
        if options.route and route and (situation.before.running or orchestrator.standby(target.name)):
            reason = f"a standby serves while {orchestrator.name} replaces the old containers"
            if options.strategy == BLUE_GREEN:
                reason = f"all users move in one moment, to a standby and back; no other color is kept on a {STACK}"
                return SwarmBlueGreen(situation, orchestrator, reason, route=options.route)
            return SwarmRolling(situation, orchestrator, reason, route=options.route)
        reason = "no containers serve through the proxy yet, so none have to be kept serving"
        return Recreate(situation, orchestrator, reason)
    if not reason and isinstance(orchestrator, SurgeOrchestrator):
        return _surge_strategy(now, orchestrator)
    return Recreate(now.situation(orchestrator), orchestrator, reason)


@dataclass(frozen=True)
class _Now:
    """What the choice is made from; ``route`` is the one that serves now."""

    options: DeployOptions
    context: Context
    ready: Ready
    route: Route | None
    count: int

    def situation(self, orchestrator: Orchestrator, *, color: str = "") -> Situation:
        """What serves now, seen from the project that is deployed into.

        :param orchestrator: of that project.
        :param color: of that project.
        """
        target, serving = self.ready.target.name, self.route.color if self.route else ""
        elsewhere: Orchestrator | None = None
        others: tuple[Container, ...] = ()
        if serving != color:
            if self.ready.adopted:
                raise UsageError(
                    f"--adopt takes {self.ready.adopted[0].project} over in the project that serves, not across colors",
                    "deploy with --adopt --strategy rolling first",
                )
            name = color_project(self.ready.orchestrator.project, serving)
            elsewhere = colors.orchestrator(self.context, name, self.ready.orchestrator.name)
            others = tuple(container for container in elsewhere.containers(target) if container.running)
        elif self.ready.adopted:
            elsewhere = colors.orchestrator(self.context, self.ready.adopted[0].project, self.ready.orchestrator.name)
            taken = {container.id for container in self.ready.adopted}
            others = tuple(container for container in elsewhere.containers() if container.id in taken)
        known = frozenset(container.id for container in orchestrator.containers(target))
        snapshot, count = orchestrator.snapshot(target), self.count
        if self.ready.adopted:
            # What is taken over comes beside ours, where there are any.
            count = count or sum(1 for container in snapshot.containers if container.running)
        base = self.ready.orchestrator
        sides = tuple(base.snapshot(name) for name in self.ready.sides.every)
        before = PreviousState(
            self.route, snapshot, known, elsewhere, others, count, sides, frozenset(base.belongings())
        )
        return Situation(self.options, self.context, self.ready, before)


def _state(orchestrator: Orchestrator, target: str, console: Console) -> str:
    """What new containers beside the old ones would lose; empty for nothing."""
    paths = orchestrator.unnamed_volumes(target)
    if not paths:
        return ""
    keeps = f"{target} keeps data in a volume without a name ({', '.join(paths)})"
    if isinstance(orchestrator, SwarmOrchestrator):
        # No strategy keeps it there.
        console.warning(f"{keeps}: each new task on a Swarm begins with an empty one")
        return ""
    return f"{keeps}, which only recreate takes over"


def _why_recreate(options: DeployOptions, obstacle: str) -> str:
    """Why only ``recreate`` will do; empty where another strategy may."""
    if options.strategy == RECREATE:
        return options.strategy_reason
    if not obstacle:
        return ""
    asked = "" if options.strategy == AUTO else f"instead of {options.strategy}, as "
    return f"{asked}new containers cannot run beside the old ones: {obstacle}"


def _surge_strategy(now: _Now, base: SurgeOrchestrator) -> Strategy:
    """Blue-green where that is asked for and possible, else rolling."""
    options, target = now.options, now.ready.target.name
    dependents = now.ready.project.after(target)
    reason = "new containers can run beside the old ones" if options.strategy == AUTO else "asked for"
    if options.strategy == BLUE_GREEN and dependents:
        reason = f"instead of blue-green: {', '.join(dependents)} needs {target} in the same project"
    elif options.strategy == BLUE_GREEN and options.route:
        color = colors.next_after(now.route)
        orchestrator = colors.surge_orchestrator(now.context, color_project(base.project, color), base.name)
        situation = now.situation(orchestrator, color=color)
        route = dataclasses.replace(options.route, color=color)
        return BlueGreen(situation, orchestrator, reason, base=base, route=route)
    return Rolling(now.situation(base), base, reason)


def interrupted(record: DeployRecord, context: Context, kind: str, hold: Hold | None) -> Interrupted:
    """What is there of a deploy that was broken off, or that has left its candidates held, on compose.

    :param kind: the name of the orchestrator.
    :param hold: that it has left; None where there is none.
    """
    route = proxy_route.if_reachable(context, hold.route.service) if hold else record.route
    orchestrator = colors.surge_orchestrator(context, record.project, kind)
    elsewhere = colors.surge_orchestrator(context, record.elsewhere, kind) if record.elsewhere else None
    there = orchestrator.containers(record.target)
    # What was taken over from another project need not have the target's name.
    everyone = {c.id: c for c in (*(elsewhere.containers() if elsewhere else ()), *there)}.values()
    return Interrupted(
        record=record,
        orchestrator=orchestrator,
        elsewhere=elsewhere,
        route=route,
        old=tuple(container for container in everyone if container.id in record.old),
        new=tuple(container for container in there if container.id not in record.old),
        hold=hold,
    )


def resume(record: DeployRecord, context: Context, kind: str, hold: Hold | None) -> None:
    """Let the strategy of a deploy that was broken off put things in order, on compose."""
    BY_NAME.get(record.strategy, Recreate).resume(interrupted(record, context, kind, hold), context)

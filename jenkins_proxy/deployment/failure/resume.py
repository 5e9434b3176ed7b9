"""After a deploy that was broken off: take away what no user has met, so that the next one begins from what serves.

A deploy leaves a record of what it was about to replace, and a hold that keeps its containers from users. Each may be
there without the other, as it can be killed between the two. First the candidates go, then the hold ends: the other way
round users would meet them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.steps import hold as holds
from jenkins_proxy.deployment.steps import lock, proxy_route
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.steps.hold import Hold
from jenkins_proxy.deployment.strategies import select, swarm_rolling
from jenkins_proxy.deployment.strategies.record import HELD, RETIRING, UNDEPLOYING, DeployRecord
from jenkins_proxy.errors import Stopped
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.base import Orchestrator, SwarmOrchestrator

_UNKNOWN = "of what the deploy before had left, some may be left still"
_IN_ORDER = "what the deploy before had left is in order, and nothing else was changed"


@dataclass(frozen=True)
class Recovery:
    """What became of a deploy that was broken off.

    :ivar count: how many instances it wanted; 0 when the last deploy had ended in order.
    :ivar text: what is so now, in words; empty when nothing was to be done.
    :ivar error: why things could not be put in order; else None.
    """

    count: int = 0
    text: str = ""
    error: Exception | Stopped | None = None


@dataclass(frozen=True)
class Leftovers:
    """What a deploy has left in the registry.

    :ivar record: of what it was about to replace; None when it ended in order.
    :ivar hold: that keeps its containers from users; None when that has ended.
    """

    record: DeployRecord | None
    hold: Hold | None

    @property
    def promoted(self) -> bool:
        """Whether users have met what the deploy has started."""
        return self.hold.promoted if self.hold else self.record is not None and self.record.phase == RETIRING

    @property
    def undeploying(self) -> bool:
        """Whether it is an undeploy that was broken off: another one finishes it."""
        return self.hold is None and self.record is not None and self.record.phase == UNDEPLOYING

    @property
    def kept(self) -> bool:
        """Whether ``deploy --hold`` has left it on purpose: it waits for ``promote`` or ``abort``."""
        if self.hold is None or self.hold.promoted:
            return False
        if self.record is None:
            return self.hold.kept
        return self.record.phase == HELD and self.record.hold == self.hold.id


def leftovers(intent_log: IntentLog, context: Context) -> Leftovers:
    """What the registry shows of earlier deploys of the service; only who holds its lock may ask."""
    record = intent_log.read()
    if intent_log.damaged:
        context.console.warning(
            f"{intent_log.damaged} in the registry is no record of a deploy, or one of a later version: what a deploy "
            f"before this one has left of {intent_log.service} is not known, and may have to be removed by hand"
        )
    return Leftovers(record, holds.read(context.registry, intent_log.service))


def recover(intent_log: IntentLog, context: Context, ready: Ready, options: DeployOptions, held: lock.Held) -> Recovery:
    """Put things in order where the command before this one was killed, or could not be reverted.

    How that goes is known to its strategy. The record stays, until the deploy that comes writes its own over it.

    :param ready: for the command that comes, as are :param options:.
    """
    text = "nothing was changed"
    try:
        left = leftovers(intent_log, context)
        if left.hold is not None and left.kept and not left.hold.expired:
            holds.refuse_kept(left.hold)
        if left.record is not None or left.hold is not None:
            text = _UNKNOWN
        clean_up(left, context, options, held, orchestrator=ready.orchestrator, target=ready.target.name)
    except (Exception, Stopped) as error:
        return Recovery(text=text, error=error)
    if text != _UNKNOWN:
        return Recovery()
    return Recovery(left.record.count if left.record else 0, _IN_ORDER)


def clean_up(
    left: Leftovers,
    context: Context,
    options: DeployOptions,
    held: lock.Held,
    *,
    orchestrator: Orchestrator | None,
    target: str,
) -> None:
    """Take away the containers that no user meets, and end the hold.

    :param orchestrator: of the project that was deployed into; None where that is not known, with the record.
    :param target: the compose service whose containers are the instances.
    """
    record, hold, service = left.record, left.hold, options.service
    if record is not None and record.phase == UNDEPLOYING:
        # What it has left is the service's as before, and what comes now goes on with that.
        context.console.warning(f"the undeploy of {service} begun at {record.since} was broken off")
        record = None
    elif record is not None and record.phase != HELD:
        context.console.warning(
            f"the deploy begun at {record.since} was broken off while {record.phase} ({record.strategy})"
        )
        if record.others:
            context.console.warning(
                f"{', '.join(record.others)} may run what it had brought up: the next deploy of it replaces that"
            )
    elif record is None and hold is not None:
        context.console.warning(f"{hold.describe()}: what held it was broken off")
    if isinstance(orchestrator, SwarmOrchestrator):
        take_over = _taking_over(context, options, held, hold)
        known = record.old if record else None
        route = hold.route if hold and hold.promoted else proxy_route.if_reachable(context, service)
        candidates = swarm_rolling.resume_on_swarm(
            context, orchestrator, target, route, hold=hold, known=known, take_over=take_over
        )
        if candidates is not None:
            candidates.end(context)
            return
    elif record is not None and orchestrator is not None:
        select.resume(record, context, orchestrator.name, hold)
    if hold is not None:
        holds.end(context, service, hold.id)


def _taking_over(
    context: Context, options: DeployOptions, held: lock.Held, hold: Hold | None
) -> Callable[[Route], Candidates]:
    """What puts a hold of our own in the place of one that was left."""
    ours = dataclasses.replace(options, hold=False)
    replaced = hold.id if hold else ""
    return lambda route: Candidates.begin(context, ours, route, held, replace=replaced)

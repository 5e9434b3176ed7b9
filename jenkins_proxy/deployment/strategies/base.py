"""What every strategy is: a way from what serves now to what was asked for, and back.

Strategies differ in how containers come and go. Waiting, routing and verifying
are the deploy's own, and the same for all.
"""

from __future__ import annotations

import abc
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.steps import drain
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies.record import PROVING, DeployRecord, Interrupted
from jenkins_proxy.deployment.strategies.side_services import SideServices
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator, Snapshot, SurgeOrchestrator


@dataclass(frozen=True)
class PreviousState:
    """What served before the deploy touched anything: where a revert leads.

    :ivar route: as the proxy had it; None when it had none.
    :ivar snapshot: of the target in the project that is deployed into; empty for a first deploy.
    :ivar known: the IDs of all of the target's containers there, also of those that had ended.
    :ivar elsewhere: the project that serves when that is another one, of another color; else None.
    :ivar others: the target's running containers in it.
    :ivar count: how many instances there were, as a deploy that was killed has left it written; else 0.
    :ivar sides: snapshots of the other services that the deploy may touch.
    :ivar belongings: the IDs of the base project's networks, and of a stack's secrets and configs.
    """

    route: Route | None
    snapshot: Snapshot
    known: frozenset[str] = frozenset()
    elsewhere: Orchestrator | None = None
    others: tuple[Container, ...] = ()
    count: int = 0
    sides: tuple[Snapshot, ...] = ()
    belongings: frozenset[str] = frozenset()

    @property
    def running(self) -> tuple[Container, ...]:
        """The containers in the project that is deployed into."""
        return tuple(container for container in self.snapshot.containers if container.running)

    @property
    def serving(self) -> int:
        """How many instances served."""
        return self.count or len(self.others) or len(self.running)


@dataclass(frozen=True)
class Serving:
    """Containers that serve users, their project's orchestrator, and in words what could not be taken away."""

    orchestrator: Orchestrator
    containers: tuple[Container, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """What every strategy starts from: what is asked for, what is there, and what serves now."""

    options: DeployOptions
    context: Context
    ready: Ready
    before: PreviousState


class Strategy(abc.ABC):
    """One deploy by one strategy.

    :cvar name: of the strategy, as it is printed, reported and recorded.
    :ivar reason: why this strategy was selected, in words.
    :ivar orchestrator: of the project that is deployed into.
    :ivar sides: the other services that this deploy touches.
    :ivar route: what to put into the proxy, None with ``--no-proxy``.
    :ivar registry_name: the name under which the registry will hold the new containers.
    """

    name: str
    orchestrator: Orchestrator

    def __init__(self, situation: Situation, orchestrator: Orchestrator, reason: str) -> None:
        self.options = situation.options
        self.ready = situation.ready
        self.before = situation.before
        self.orchestrator = orchestrator
        self.reason = reason
        self.route: Route | None = self.options.route
        self.registry_name = self.options.service
        self.sides = SideServices(self.ready, situation.context, situation.before.sides)
        self._context = situation.context

    @property
    def target(self) -> str:
        """The compose service whose containers are the instances."""
        return self.ready.target.name

    @property
    def wanted(self) -> int:
        """How many instances there shall be: as asked, else as many as serve now, else as the files say."""
        return self.options.scale or self.before.serving or self.ready.target.replicas or 1

    @property
    def steps(self) -> Sequence[int]:
        """How many containers each step starts; more than one step for a rolling deploy in batches."""
        return (self.wanted,)

    @property
    def proven(self) -> Sequence[Address] | None:
        """The instances that are no candidates; None for those that serve when the deploy begins."""
        return None

    @property
    def keep_running(self) -> Sequence[Container]:
        """The old containers of the same project that go on running next to the new ones."""
        return ()

    @abc.abstractmethod
    def bring_up(self, count: int) -> list[Container]:
        """Start so many new containers; returns all that this deploy has started so far."""

    def keep(self) -> Sequence[Container]:
        """The old containers that go on serving beside what has been started so far."""
        return ()

    def finish(self, candidates: Candidates | None) -> Matching | None:
        """Drain and remove what the new containers replace: users meet these now.

        :param candidates: that were promoted; None without a proxy.
        :return: the instances in the end, where they are others than those that have proven themselves.
        """
        # Only compose has projects of other colors.
        if isinstance(self.before.elsewhere, SurgeOrchestrator):
            drain.retire(self._context, self.before.elsewhere, self.before.route, self.before.others)
        return None

    def revert(self, context: Context) -> Serving:
        """Bring back what ran before in the project, and take away what was started.

        :param context: with the time that a revert has.
        :return: what serves users then.
        """
        base, before, deadline = self.ready.orchestrator, self.before, context.deadline
        if self.orchestrator.project == base.project:
            context.confirm()
            restored = self.orchestrator.restore([*self.sides.snapshots, before.snapshot], deadline=deadline)
        else:
            # What was started uses the side services: it goes first.
            context.confirm()
            restored = self.orchestrator.restore([before.snapshot], deadline=deadline)
            context.confirm()
            base.restore(self.sides.snapshots, deadline=deadline)
        context.confirm()
        left = (*self._not_removed(), *base.remove_belongings(before.belongings, deadline=deadline))
        if before.elsewhere is not None:
            return Serving(before.elsewhere, before.others, left)
        return Serving(self.orchestrator, tuple(c for c in restored if c.service == self.target), left)

    def _not_removed(self) -> list[str]:
        """The containers of services that had none before, in words: a command that was stopped may still make one."""
        base, mine = self.ready.orchestrator, self.orchestrator
        # Another color's project has the target alone, and the base project may serve it from before.
        absent = {base.project: {one.service for one in self.sides.snapshots if not one.containers}}
        absent.setdefault(mine.project, set()).update(() if self.before.snapshot.containers else (self.target,))
        there = {c.id: c for one in (base, mine) for c in one.containers()}
        return [
            f"container {c.name}"
            for c in there.values()
            if c.service in absent.get(c.project, ()) and c.state != "removing"
        ]

    @property
    def absent(self) -> frozenset[str]:
        """The services that this deploy touches and that had no container before."""
        snapshots = (*self.sides.snapshots, self.before.snapshot)
        return frozenset(one.service for one in snapshots if not one.containers)

    @classmethod
    def resume(cls, interrupted: Interrupted, context: Context) -> None:
        """Put things in order where a deploy by this strategy was broken off, so that the next one can begin.

        What no user depends on goes: the candidates, or once they are promoted what was before.
        """
        left = interrupted.surplus()
        if left:
            context.console.step("removing what it has left")
        interrupted.remove(context, left)

    def started(self) -> list[Container]:
        """The containers that this deploy has started."""
        return [c for c in self.orchestrator.containers(self.target) if c.id not in self.before.known]

    def failing(self) -> list[Container]:
        """The containers whose logs say why this deploy fails: of what it needs, else those that it has started."""
        needs = self.sides.failed()
        # A container that waits for what has failed never ran.
        return [*needs, *(container for container in self.started() if not needs or container.state != "created")]

    def record(self) -> DeployRecord:
        """What is about to be replaced, for the intent log."""
        return DeployRecord(
            strategy=self.name,
            phase=PROVING,
            project=self.orchestrator.project,
            target=self.target,
            orchestrator=self.orchestrator.name,
            old=tuple(sorted({*self.before.known, *(container.id for container in self.before.others)})),
            elsewhere=self.before.elsewhere.project if self.before.elsewhere else "",
            keep_old=self.options.keep_old,
            after=self.ready.sides.after,
            others=self.ready.sides.others,
            absent=tuple(sorted(self.absent - {self.target})),
            belongings=tuple(sorted(self.before.belongings)),
            count=self.wanted,
            route=self.before.route,
            since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    @abc.abstractmethod
    def describe(self) -> list[str]:
        """How :meth:`bring_up` would go, in words."""

    def describe_finish(self) -> list[str]:
        """How :meth:`finish` would go, in words."""
        return [f"drain and remove {container.name}" for container in self.before.others]

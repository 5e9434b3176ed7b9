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
from jenkins_proxy.deployment.steps import drain, proxy_route
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator, Snapshot, SurgeOrchestrator

PROVING, RETIRING = "proving", "retiring"


@dataclass(frozen=True)
class DeployRecord:
    """A deploy that has begun, as the intent log holds it: names and IDs only, no secrets.

    :ivar strategy: the strategy's name.
    :ivar phase: PROVING until the new containers have proven themselves, RETIRING from then on.
    :ivar project: the compose project or stack that is deployed into.
    :ivar target: the compose service.
    :ivar old: the IDs of the target's containers that were there before.
    :ivar count: how many instances are wanted.
    :ivar route: the one that served before; None where there was none, or the proxy was left alone.
    :ivar since: when it began, as ISO 8601.
    """

    strategy: str
    phase: str
    project: str
    target: str
    old: tuple[str, ...] = ()
    count: int = 0
    route: Route | None = None
    since: str = ""


@dataclass(frozen=True)
class Interrupted:
    """A deploy that was broken off, with what is there of it.

    :ivar orchestrator: of the project that it deployed into.
    :ivar route: the service's route now.
    :ivar old: the target's running containers from before it.
    :ivar new: the containers that it has started.
    """

    record: DeployRecord
    orchestrator: SurgeOrchestrator
    route: Route | None
    old: tuple[Container, ...]
    new: tuple[Container, ...]


@dataclass(frozen=True)
class PreviousState:
    """What served before the deploy touched anything: where a revert leads.

    :ivar route: as the proxy had it; None when it had none.
    :ivar snapshot: of the target in the project that is deployed into; empty for a first deploy.
    :ivar known: the IDs of all of the target's containers there, also of those that had ended.
    :ivar elsewhere: the project that serves when that is another one, of another color; else None.
    :ivar others: the target's running containers in it.
    :ivar count: how many instances there were, as a deploy that was killed has left it written; else 0.
    """

    route: Route | None
    snapshot: Snapshot
    known: frozenset[str] = frozenset()
    elsewhere: Orchestrator | None = None
    others: tuple[Container, ...] = ()
    count: int = 0

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
    """Containers that serve users, and the orchestrator of their project."""

    orchestrator: Orchestrator
    containers: tuple[Container, ...]


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
    def keep_running(self) -> Sequence[Container]:
        """The old containers of the same project that go on running next to the new ones."""
        return ()

    @abc.abstractmethod
    def bring_up(self, count: int) -> list[Container]:
        """Start so many new containers; returns all that this deploy has started so far."""

    def finish(self) -> Matching | None:
        """Drain and remove what the new containers replace: they have proven themselves.

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
        restored = self.orchestrator.restore(self.before.snapshot, deadline=context.deadline)
        if self.before.elsewhere is not None:
            return Serving(self.before.elsewhere, self.before.others)
        return Serving(self.orchestrator, tuple(restored))

    @classmethod
    def resume(cls, interrupted: Interrupted, context: Context) -> None:
        """Put things in order where a deploy by this strategy was broken off, so that the next one can begin.

        This is for a strategy that had nothing to go back to: the next deploy finishes its work.
        """
        context.console.step("going on from there")

    def started(self) -> list[Container]:
        """The containers that this deploy has started."""
        return [c for c in self.orchestrator.containers(self.target) if c.id not in self.before.known]

    def record(self) -> DeployRecord:
        """What is about to be replaced, for the intent log."""
        return DeployRecord(
            strategy=self.name,
            phase=PROVING,
            project=self.orchestrator.project,
            target=self.target,
            old=tuple(sorted(self.before.known)),
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


def undo(interrupted: Interrupted, context: Context) -> None:
    """Lead users back to what served before a deploy that was broken off unproven, and remove what it had started."""
    before = interrupted.record.route
    if before is not None:
        proxy_route.put(context, before, allow_empty=True)
        # It may have been killed between a drain and the container's end.
        drain.resume(context, before, interrupted.old)
    remove_leftovers(interrupted, context, before or interrupted.route, interrupted.new)


def remove_leftovers(
    interrupted: Interrupted, context: Context, route: Route | None, containers: Sequence[Container]
) -> None:
    """Drain and remove what a deploy that was broken off has left running."""
    if containers:
        context.console.step("removing what it has left")
    drain.retire(context, interrupted.orchestrator, route, containers)

"""What every strategy is: a way from what serves now to what was asked for, and back."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.steps import drain
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator, Snapshot


@dataclass(frozen=True)
class PreviousState:
    """What served before the deploy touched anything: where a roll-back leads.

    :ivar route: as the proxy had it; None when it had none.
    :ivar snapshot: of the target in the project that is deployed into; empty for a first deploy.
    :ivar known: the IDs of all of the target's containers there, also of those that had ended.
    :ivar elsewhere: the project that serves when that is another one, of another color; else None.
    :ivar others: the target's containers in it.
    :ivar count: how many instances there were, as a deploy that was killed has left it written.
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


def present(orchestrator: Orchestrator, target: str, known: Collection[str]) -> list[Container]:
    """The target's containers that are to be instances.

    :param known: the IDs of those that were there before. A Swarm keeps the containers of ended tasks for a while;
        compose has none that it does not mean to run.
    """
    found = orchestrator.containers(target)
    return found if orchestrator.surges else [c for c in found if c.running or c.id not in known]


class Strategy(abc.ABC):
    """One deploy by one strategy: recreate, rolling or blue-green.

    :ivar name: of the strategy.
    :ivar orchestrator: of the project that is deployed into.
    :ivar route: what to put into the proxy, None with ``--no-proxy``.
    :ivar registry_name: the name under which the registry will hold the new containers.
    """

    name: str

    def __init__(self, options: DeployOptions, context: Context, ready: Ready, before: PreviousState) -> None:
        self.options = options
        self.ready = ready
        self.before = before
        self.orchestrator: Orchestrator = ready.orchestrator
        self.route: Route | None = options.route
        self.registry_name = options.service
        self._context = context

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
        """The old containers of the same project that run beside the new ones."""
        return ()

    @abc.abstractmethod
    def bring_up(self, count: int) -> list[Container]:
        """Start so many new containers; returns all that this deploy has started so far."""

    def restore(self, context: Context) -> list[Container]:
        """Bring back what ran before in the project, and take away what was started.

        :param world: with the time that a roll-back has.
        :return: the containers that run now.
        """
        return self.orchestrator.restore(self.before.snapshot, deadline=context.deadline)

    def finish(self) -> Matching | None:
        """Drain and remove what the new containers replace: they have proven themselves.

        :return: the instances in the end, where they are others than those that have proven themselves.
        """
        if self.before.elsewhere is not None:
            drain.retire(self._context, self.before.elsewhere, self.before.route, self.before.others)
        return None

    def started(self) -> list[Container]:
        """The containers that this deploy has started."""
        return [c for c in self.orchestrator.containers(self.target) if c.id not in self.before.known]

    @abc.abstractmethod
    def describe(self) -> list[str]:
        """How :meth:`bring_up` would go, in words."""

    def describe_finish(self) -> list[str]:
        """How :meth:`finish` would go, in words."""
        return [f"drain and remove {container.name}" for container in self.before.others]

"""A deploy that has begun: what is written down of it, and what is there of it when it was broken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import drain
from jenkins_proxy.deployment.steps.hold import Hold
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import SurgeOrchestrator

PROVING, HELD, RETIRING, UNDEPLOYING = "proving", "held", "retiring", "undeploying"


@dataclass(frozen=True)
class DeployRecord:
    """A deploy that has begun, as the intent log holds it: names and IDs only, no secrets.

    :ivar strategy: the strategy's name.
    :ivar phase: PROVING until users meet the new containers, RETIRING from then on; HELD when another command is to
        let users in; UNDEPLOYING of a service that goes: what goes with the target are the ``others`` then.
    :ivar project: the compose project or stack that is deployed into.
    :ivar target: the compose service.
    :ivar orchestrator: its name.
    :ivar old: the IDs of the target's containers that were there before.
    :ivar elsewhere: the project that served, when that is another one, of another color.
    :ivar keep_old: whether its containers are to stay when they serve no more.
    :ivar after: the services that are brought up after the target, as they need it and were asked for.
    :ivar count: how many instances are wanted.
    :ivar route: the one that served before; None where there was none, or the proxy was left alone.
    :ivar since: when it began, as ISO 8601.
    :ivar hold: the ID of the hold that makes its containers candidates; empty before there is one, and without a proxy.
    :ivar others: the other targets, which may run what it has brought up.
    :ivar absent: the services beside the target that had no container before.
    :ivar belongings: the IDs of the networks and the like that the base project had before; None where nobody looked.
    """

    strategy: str
    phase: str
    project: str
    target: str
    old: tuple[str, ...] = ()
    count: int = 0
    route: Route | None = None
    since: str = ""
    orchestrator: str = ""
    elsewhere: str = ""
    keep_old: bool = False
    after: tuple[str, ...] = ()
    hold: str = ""
    others: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    belongings: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Interrupted:
    """A deploy that was broken off, or that has left its candidates held, with what is there of it.

    :ivar orchestrator: of the project that it deployed into.
    :ivar elsewhere: of the project that served before, when that is another one.
    :ivar route: the service's route now.
    :ivar old: the target's containers from before it, in both projects.
    :ivar new: the containers that it has started.
    :ivar hold: its hold; None when that has ended, or there never was one.
    """

    record: DeployRecord
    orchestrator: SurgeOrchestrator
    elsewhere: SurgeOrchestrator | None
    route: Route | None
    old: tuple[Container, ...]
    new: tuple[Container, ...]
    hold: Hold | None = None

    @property
    def promoted(self) -> bool:
        """Whether users have met the new containers."""
        return self.hold.promoted if self.hold else self.record.phase == RETIRING

    def serves(self, container: Container) -> bool:
        """Whether users may meet a container now, by the hold."""
        return self.hold is not None and any(str(a) in self.hold.serving for a in matching.addresses(container))

    def surplus(self) -> tuple[Container, ...]:
        """The containers that have no users: what is new until it is promoted, and from then on what was before."""
        if not self.promoted:
            return self.new
        if self.hold is None:
            return self._retired(self.old)
        # Between two batches each side has some that serve.
        unproven = tuple(container for container in self.new if not self.serves(container))
        return unproven + self._retired(tuple(container for container in self.old if not self.serves(container)))

    def _retired(self, old: tuple[Container, ...]) -> tuple[Container, ...]:
        return () if self.record.keep_old else tuple(container for container in old if container.running)

    def remove(self, context: Context, containers: Sequence[Container]) -> None:
        """Drain containers where users may have met them, stop them and remove them."""
        mine = {container.project: self.orchestrator for container in containers}
        if self.elsewhere is not None:
            mine[self.elsewhere.project] = self.elsewhere
        for project, orchestrator in mine.items():
            part = [container for container in containers if container.project == project]
            made = [container.id for container in part if container.id not in self.record.old]
            drain.retire(context, orchestrator, self.route if self.promoted else None, part, made=made)

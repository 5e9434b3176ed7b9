"""What became of a command, whether it succeeded or failed. Frozen: each step makes a new one of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.errors import Stopped
from jenkins_proxy.model import Address, Container, Instance, Route


@dataclass(frozen=True)
class ReportedInstance:
    """An instance that serves when the command ends.

    :ivar id: of the entry in the registry.
    :ivar container: the container's name; empty where no container was looked for.
    :ivar node: the container's node, else the registry's.
    """

    address: Address
    id: str
    container: str
    node: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "address": self.address.host,
            "port": self.address.port,
            "id": self.id,
            "container": self.container,
            "node": self.node,
        }


def of_matching(matching: Matching) -> tuple[ReportedInstance, ...]:
    """The instances that a wait for containers ended with."""
    return tuple(
        ReportedInstance(instance.address, instance.id, match.container.name, match.container.node or instance.node)
        for match in matching.matches
        for instance in match.instances
    )


def of_registry(instances: Sequence[Instance]) -> tuple[ReportedInstance, ...]:
    """Instances whose containers were not looked for."""
    return tuple(ReportedInstance(instance.address, instance.id, "", instance.node) for instance in instances)


@dataclass(frozen=True)
class FailedContainer:
    """What a container had to say when it failed.

    :ivar health_output: of its HEALTHCHECK's last run.
    :ivar log: its last lines.
    """

    container: str
    state: str
    health: str
    health_output: str
    log: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "log": list(self.log)}


@dataclass(frozen=True)
class Users:
    """What users met while a command ran.

    :ivar p99_ms: 99 of 100 requests took no longer, in milliseconds; None without a request.
    :ivar exact: False when some requests may be missing from the numbers.
    """

    requests: int
    failed: int
    p99_ms: float | None
    exact: bool

    def __str__(self) -> str:
        about = "" if self.exact else "at least "
        p99 = "" if self.p99_ms is None else f", p99 {self.p99_ms:.0f} ms"
        return f"users meanwhile: {about}{self.requests:,} requests, {self.failed:,} failed{p99}"


@dataclass(frozen=True)
class Candidate:
    """What ``deploy --hold`` leaves for a test, and for ``promote`` or ``abort`` to end.

    :ivar id: of the hold.
    :ivar url: where a request with the key in the header ``header_name`` reaches a candidate.
    :ivar instances: the candidates: ``host:port``.
    :ivar until: seconds since 1970 when the hold's time ends.
    """

    id: str
    url: str
    instances: tuple[str, ...]
    header_name: str
    until: float

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "instances": list(self.instances)}


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    :ivar strategy: the name of the strategy that ran; empty where none was selected.
    :ivar orchestrator: the name of the orchestrator, if one was looked for.
    :ivar instances: those that serve now.
    :ivar route: the route in the proxy now.
    :ivar url: where users reach it.
    :ivar plan: of a dry run; None for a command that changes something.
    :ivar error: what ended the command; None after a success.
    :ivar phase: in which that happened.
    :ivar reverted: whether what served before the command serves again after its failure.
    :ivar text: what serves after a failure, in words; becomes part of the error's text.
    :ivar failing: the containers that failed.
    :ivar candidate: what is held now; None where nothing is.
    :ivar users: what users met meanwhile; None where nobody counted.
    :ivar removed: what an undeploy has taken away, in words; None for other commands.
    :ivar left: what is still there of it, in words.
    :ivar image: of the release, as the compose file names it; empty where nobody looked.
    :ivar image_id: what that name means: ``sha256:…``.
    """

    strategy: str = ""
    orchestrator: str = ""
    instances: tuple[ReportedInstance, ...] = ()
    route: Route | None = None
    url: str = ""
    plan: dict[str, Any] | None = None
    error: Exception | Stopped | None = None
    phase: str = ""
    reverted: bool = False
    text: str = ""
    failing: tuple[FailedContainer, ...] = ()
    candidate: Candidate | None = None
    users: Users | None = None
    removed: tuple[str, ...] | None = None
    left: tuple[str, ...] = ()
    image: str = ""
    image_id: str = ""

    @property
    def addresses(self) -> list[Address]:
        """Of the instances."""
        return [instance.address for instance in self.instances]

    def with_image_of(self, containers: Sequence[Container]) -> Outcome:
        """The same, with the image of the containers of the release; of none, as it was."""
        if not containers:
            return self
        return dataclasses.replace(self, image=containers[-1].image, image_id=containers[-1].image_id)

    def failed(self, error: Exception | Stopped, phase: str = "", *, text: str | None = None) -> Outcome:
        """The same, ended by an error.

        :param phase: in which it was raised.
        :param text: what serves now; None leaves the text as it is.
        """
        return dataclasses.replace(self, error=error, phase=phase, text=self.text if text is None else text)

    def stopped_late(self, error: Stopped) -> Outcome:
        """The same, ended by a signal that came when all was done. A command that had failed before stays so."""
        if self.error is not None:
            return self
        return self.failed(error, text=self._done)

    @property
    def _done(self) -> str:
        """What is so after a success, in words."""
        if self.plan is not None:
            return "nothing was changed"
        if self.removed is not None:
            return "all was done by then"
        serve = "are held" if self.candidate is not None else "serve"
        return f"all was done by then: {len(self.instances)} instance(s) {serve}"

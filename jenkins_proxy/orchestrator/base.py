"""What a deployment asks of an orchestrator: what compose and a Swarm-mode stack can both do, and what only one can."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.project import ComposeProject
from jenkins_proxy.retry import Deadline

if TYPE_CHECKING:  # an engine's client takes longer to load than all that comes before a command's first line
    from jenkins_proxy.orchestrator.survey import Survey

AUTO = "auto"
COMPOSE_V2, COMPOSE_V1, STACK = NAMES = ("compose-v2", "compose-v1", "stack")
BLUE, GREEN = COLORS = ("blue", "green")


def color_project(base: str, color: str) -> str:
    """The compose project of a color; the base project itself for none."""
    return f"{base}-{color}" if color else base


@dataclass(frozen=True)
class Snapshot:
    """A service before a deploy touched it: enough to bring exactly that back.

    In memory only: it holds the containers' environment, and with it their secrets.

    :ivar containers: in every state; none when the service did not exist.
    :ivar definitions: for compose, what the engine's ``inspect`` said of each; for a stack, of the Swarm service.
    """

    service: str
    containers: tuple[Container, ...] = ()
    definitions: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Place:
    """Where a project is: another engine may have one of the same name.

    :ivar engine: what the engine, or the Swarm-mode cluster, calls itself; its URL where it has no name.
    """

    project: str
    engine: str

    @classmethod
    def of(cls, project: str, info: Mapping[str, Any], url: str) -> Place:
        """A project's place.

        :param info: the engine's ``/info``.
        :param url: of the engine.
        """
        cluster = ((info.get("Swarm") or {}).get("Cluster") or {}).get("ID")
        return cls(project, str(cluster or info.get("ID") or url))


class Orchestrator(abc.ABC):
    """One compose project or stack on one engine: the verbs that all orchestrators have.

    Every method that runs a command takes the deadline of the whole deploy, shows the command and its output on the
    console, and raises DeployFailed with the last meaningful line when it fails or runs out of time. The engine
    being unreachable is a DockerError.

    :ivar name: ``compose-v2``, ``compose-v1`` or ``stack``.
    :ivar version: of the program: ``2.26.1``.
    :ivar project: the compose project's or the stack's name.
    """

    name: str
    version: str
    project: str

    @property
    @abc.abstractmethod
    def place(self) -> Place:
        """The project, and the engine or cluster that it is on."""

    @abc.abstractmethod
    def validate(self) -> ComposeProject:
        """Render the compose files and read them; nothing is started. Rendered once, then remembered.

        :raises UsageError: for missing, broken or invalid files, with compose's own reason.
        """

    @abc.abstractmethod
    def pull(self, services: Sequence[str] = (), *, deadline: Deadline) -> None:
        """Pull the images of these services, or of all."""

    @abc.abstractmethod
    def build(self, services: Sequence[str], *, deadline: Deadline) -> None:
        """Build the images of those of these services that have a ``build:``.

        :raises UsageError: where nothing can be built.
        """

    @abc.abstractmethod
    def survey(self, target: str, *others: str) -> Survey:
        """Look at what a deploy of the target needs, and at all that runs beside it; nothing is changed.

        :param others: the other services that it brings up.
        """

    @abc.abstractmethod
    def running_anywhere(self) -> list[Container]:
        """All containers that run on the engine, of whatever project or of none."""

    @abc.abstractmethod
    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        """Bring services, or all, to what the files say; what is already so is left alone.

        Other services than those that are named are not touched: what these need has to run.

        :param scale: the number of containers by service. A named service without one keeps its count; where none
            is named, it gets what the files say.
        """

    @abc.abstractmethod
    def start_needs(self, services: Sequence[str], *, done: Collection[str] = (), deadline: Deadline) -> None:
        """Have running what services need, directly or not, and wait for what their ``depends_on`` asks for.

        What runs, or is paused, is left as it is, with its count, whatever the files say now.

        What has to run to its end does so on what the files say now.

        :param done: the needs that have had their turn: none of them does its work again.
        """

    @abc.abstractmethod
    def scale(self, service: str, count: int, *, deadline: Deadline) -> None:
        """Have ``count`` containers without recreating any; the orchestrator picks the surplus ones."""

    @abc.abstractmethod
    def containers(self, service: str = "") -> list[Container]:
        """The containers of a service, or of the project, in every state; by container number."""

    @abc.abstractmethod
    def current_containers(self, service: str, *, before: Collection[str]) -> list[Container]:
        """The containers of a service that are meant to be instances.

        :param before: the IDs of the containers that were there before the deployment changed anything.
        """

    @abc.abstractmethod
    def logs(self, container: Container, lines: int = 50) -> list[str]:
        """The last lines that a container wrote, stdout and stderr together."""

    @abc.abstractmethod
    def health_output(self, container: Container) -> str:
        """What the last run of its HEALTHCHECK printed; empty without one."""

    @abc.abstractmethod
    def snapshot(self, service: str) -> Snapshot:
        """Remember what a service runs on, before a deploy touches it."""

    @abc.abstractmethod
    def restore(self, before: Sequence[Snapshot], *, deadline: Deadline) -> list[Container]:
        """Bring back what snapshots hold: the same images, settings, states and counts.

        What is still there is kept, what is gone is made again (with other host ports), and the services' other
        containers are removed, with the volumes without a name that were made for them.

        :param before: of one service each; what a service needs stands before it.
        :return: the containers of these services that run now.
        """

    @abc.abstractmethod
    def unnamed_volumes(self, service: str) -> tuple[str, ...]:
        """The paths at which a service's containers keep data in a volume without a name.

        A container beside them has empty ones; only one that compose recreates takes them over.
        """

    @abc.abstractmethod
    def belongings(self) -> dict[str, str]:
        """The project's networks, and a stack's secrets and configs, by ID, in words: ``network books_default``."""

    @abc.abstractmethod
    def remove_belongings(self, keep: Collection[str], *, deadline: Deadline) -> list[str]:
        """Remove the project's others of these, unless something uses them.

        :param keep: the IDs of those that stay.
        :return: those that are still there, in words.
        """

    @abc.abstractmethod
    def present_services(self) -> frozenset[str]:
        """The services of the project that are there, whatever the files say now; a stack's also without a task."""

    @abc.abstractmethod
    def named_services(self, name: str) -> frozenset[str]:
        """The services whose containers say that this is their name in the registry, whatever the files say now."""

    @abc.abstractmethod
    def volumes(self, services: Collection[str] | None = None, *, more: Sequence[Container] = ()) -> tuple[str, ...]:
        """The names of the volumes that the project has made; of a stack, those on the manager.

        :param services: only those that their containers use, those with a generated name too; None means all.
        :param more: containers of other projects that may use them, too: those of a color.
        """

    @abc.abstractmethod
    def remove_volumes(self, names: Collection[str], *, deadline: Deadline) -> list[str]:
        """Remove these volumes.

        :return: the names of those that are in use, and stay.
        """

    @abc.abstractmethod
    def node_addresses(self) -> tuple[str, ...]:
        """The addresses of the one node whose containers are all known; none with a cluster."""


class SurgeOrchestrator(Orchestrator):
    """An orchestrator that can start new containers next to the old ones, and leaves each container to its user.

    Both versions of compose can: containers are stopped and removed one by one, and a project can be doubled.
    """

    @abc.abstractmethod
    def surge(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """Start ``count`` containers of the files' present state next to the old ones, which are left untouched.

        :return: the new containers.
        """

    @abc.abstractmethod
    def stop(self, container: Container) -> None:
        """SIGTERM, and SIGKILL after the container's own ``stop_grace_period``. One that is gone already is fine."""

    @abc.abstractmethod
    def remove(self, container: Container, *, volumes: bool = False) -> None:
        """Remove a container, running or not. One that is gone already is fine.

        :param volumes: whether the volumes without a name go that were made for it. With compose they stay.
        """

    @abc.abstractmethod
    def forget(self, before: Sequence[Snapshot]) -> None:
        """Remove the volumes without a name of those containers that are gone; what anything still uses stays."""

    @abc.abstractmethod
    def for_color(self, target: str, *, service: str, color: str) -> SurgeOrchestrator:
        """The same orchestrator for a project of its own, of one color, that holds only the target.

        Its name is ``<project>-<color>``, and its containers register as ``<service>-<color>``. Networks, volumes
        and side services are this project's, so these have to be up.

        :param service: the name in the registry, without the color.
        """


class SwarmOrchestrator(Orchestrator):
    """An orchestrator that replaces, places and stops containers by itself, when it likes.

    So no single container can be started or stopped. A standby, a service of its own next to the target, keeps users
    served while the orchestrator works on the target.
    """

    @abc.abstractmethod
    def start_standby(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """Start ``count`` containers of the files' present state as a service of their own, the standby.

        :return: the standby's containers.
        """

    @abc.abstractmethod
    def clone_standby(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """Start ``count`` containers of what runs now, instead of what the files say, as the standby.

        A standby that is there already is replaced.

        :return: the standby's containers.
        """

    @abc.abstractmethod
    def standby(self, service: str) -> list[Container]:
        """The containers of a service's standby, in every state; none where it has no standby."""

    @abc.abstractmethod
    def remove_standby(self, service: str, *, deadline: Deadline) -> None:
        """Stop and remove a service's standby, and wait until its tasks have ended; none there is fine."""

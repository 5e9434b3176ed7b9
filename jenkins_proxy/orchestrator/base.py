"""What a deployment asks of an orchestrator: what compose and a Swarm-mode stack can both do, and what only one can."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.compose_project import ComposeProject
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
    """What a service ran on before a deploy touched it: enough to bring exactly that back.

    In memory only: it holds the containers' environment, and with it their secrets.

    :ivar containers: as they ran; none when the service did not exist.
    :ivar definitions: for compose, what the engine's ``inspect`` said of each; for a stack, of the Swarm service.
    """

    service: str
    containers: tuple[Container, ...] = ()
    definitions: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Up:
    """One call of :meth:`Orchestrator.up`.

    :ivar services: the services to bring up; none means all.
    :ivar scale: the number of containers by service.
    """

    services: Sequence[str] = ()
    scale: Mapping[str, int] = field(default_factory=dict)


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
    def survey(self, target: str) -> Survey:
        """Look at what a deploy of the target needs, and at all that runs beside it; nothing is changed."""

    @abc.abstractmethod
    def running_anywhere(self) -> list[Container]:
        """All containers that run on the engine, of whatever project or of none."""

    @abc.abstractmethod
    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        """Bring services, or all, to what the files say; what is already so is left alone.

        :param scale: the number of containers by service. A service without one gets what compose itself gives it:
            what the file says, else 1, *whatever runs now*.
        """

    @abc.abstractmethod
    def up_in_order(self, target: str, count: int) -> list[Up]:
        """The calls of :meth:`up` that bring the whole project up with ``count`` containers of the target."""

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
    def restore(self, snapshot: Snapshot, *, deadline: Deadline) -> list[Container]:
        """Bring back what the snapshot holds: the same images, settings and count.

        What still runs of it is kept, what is gone is made again (with other host ports), and the service's other
        containers are removed.

        :return: the containers that run now.
        """


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
    def remove(self, container: Container) -> None:
        """Remove a container, running or not. Its volumes stay, as with compose. One that is gone already is fine."""

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

        The services that the target does not need to wait for are brought up with it.

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

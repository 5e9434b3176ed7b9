"""What the flow asks of an orchestrator, whichever it is: compose v1, compose v2 or a Swarm-mode stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.compose_project import ComposeProject
from jenkins_proxy.retry import Deadline


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


class Orchestrator(Protocol):
    """One compose project or stack on one engine.

    Every method that runs a command takes the deadline of the whole deploy, shows the command and its output on the
    console, and raises DeployFailed with the last meaningful line when it fails or runs out of time. The engine
    being unreachable is a DockerError.

    :ivar name: ``compose-v2``, ``compose-v1`` or ``stack``.
    :ivar version: of the program: ``2.26.1``.
    :ivar project: the compose project's or the stack's name.
    :ivar surges: whether :meth:`surge` is possible, and containers can be stopped one by one. A Swarm replaces and
        stops its tasks by itself: there :meth:`start_standby` and :meth:`twin` keep the users served meanwhile.
    """

    name: str
    version: str
    project: str
    surges: bool

    def validate(self) -> ComposeProject:
        """Render the compose files and read them; nothing is started. Rendered once, then remembered.

        :raises UsageError: for missing, broken or invalid files, with compose's own reason.
        """

    def pull(self, services: Sequence[str] = (), *, deadline: Deadline) -> None:
        """Pull the images of these services, or of all."""

    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        """Bring services, or all, to what the files say; what is already so is left alone.

        :param scale: the number of containers by service. A service without one gets what compose itself gives it:
            what the file says, else 1, *whatever runs now*.
        """

    def surge(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """Start ``count`` containers of the files' present state beside the old ones, which are left untouched.

        :return: the new containers.
        """

    def start_standby(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """Start ``count`` containers of the files' present state as a service of their own beside the old one.

        The services that the target does not need to wait for are brought up with it. Only where not :attr:`surges`.

        :return: the stand-ins. :meth:`standby` lists them, :meth:`remove_standby` takes them away.
        """

    def twin(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        """The same, of what runs now instead of what the files say."""

    def standby(self, service: str) -> list[Container]:
        """The stand-ins of a service, in every state. Only where not :attr:`surges`."""

    def remove_standby(self, service: str, *, deadline: Deadline) -> None:
        """Stop and remove a service's stand-ins; none there is fine. Only where not :attr:`surges`."""

    def scale(self, service: str, count: int, *, deadline: Deadline) -> None:
        """Have ``count`` containers without recreating any; surplus ones are picked by compose."""

    def containers(self, service: str = "") -> list[Container]:
        """The containers of a service, or of the project, in every state; by container number."""

    def for_color(self, target: str, *, service: str, color: str) -> Orchestrator:
        """The same orchestrator for a project of its own, of one color, that holds only the target.

        Its name is ``<project>-<color>``, and its containers register as ``<service>-<color>``. Networks, volumes
        and side services are this project's, so these have to be up. Only where :attr:`surges`.

        :param service: the name in the registry, without the color.
        """

    def stop(self, container: Container) -> None:
        """SIGTERM, and SIGKILL after the container's own ``stop_grace_period``. One that is gone already is fine."""

    def remove(self, container: Container) -> None:
        """Remove a container, running or not. Its volumes stay, as with compose. One that is gone already is fine."""

    def logs(self, container: Container, lines: int = 50) -> list[str]:
        """The last lines that a container wrote, stdout and stderr together."""

    def health_output(self, container: Container) -> str:
        """What the last run of its HEALTHCHECK printed; empty without one."""

    def snapshot(self, service: str) -> Snapshot:
        """Remember what a service runs on, before a deploy touches it."""

    def restore(self, snapshot: Snapshot, *, deadline: Deadline) -> list[Container]:
        """Bring back what the snapshot holds: the same images, settings and count.

        What still runs of it is kept, what is gone is made again (with other host ports), and the service's other
        containers are removed.

        :return: the containers that run now.
        """

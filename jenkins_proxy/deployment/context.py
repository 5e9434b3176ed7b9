"""What a deployment is asked for, what it speaks to, and what preflight found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy.console import Console
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Service
from jenkins_proxy.retry import Deadline
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:  # an HTTP library takes longer to load than all that comes before a command's first line
    from jenkins_proxy.clients.consul.client import Consul
    from jenkins_proxy.clients.proxy import ProxyClient

AUTO, RECREATE, ROLLING, BLUE_GREEN = "auto", "recreate", "rolling", "blue-green"
STRATEGIES = (AUTO, RECREATE, ROLLING, BLUE_GREEN)


@dataclass(frozen=True)
class DeployOptions:
    """The command line's options as data; none of them is checked yet.

    :ivar route: None with ``--no-proxy``.
    :ivar route_given: the fields of the route that arguments give: a label of the target does not replace them.
    :ivar files: compose files, later ones over earlier ones; none means the one that compose finds by itself.
    :ivar target: the compose service; empty means the one that publishes a port.
    :ivar scale: how many instances; None keeps what runs now.
    :ivar probe_path: the path to probe; empty means the route's first one.
    :ivar batch: how many containers a rolling deploy replaces at a time; 0 means all.
    :ivar keep_old: whether blue-green leaves the other color running.
    :ivar settle: seconds of steady health before an instance counts.
    :ivar lock_timeout: seconds to wait for another deploy of the same service.
    """

    service: str
    project: str
    files: tuple[str, ...] = ()
    route: Route | None = None
    route_given: frozenset[str] = frozenset()
    target: str = ""
    scale: int | None = None
    strategy: str = AUTO
    orchestrator: str = "auto"
    pull: bool = False
    probe_path: str = ""
    batch: int = 0
    keep_old: bool = False
    settle: float = 0.0
    lock_timeout: float = 0.0


@dataclass(frozen=True)
class Context:
    """What is around a deployment: registry, proxy, the reader, and the time that all of it may take.

    :ivar phases: the stopwatch, which also knows the phase that runs.
    :ivar timing: how long the parts may take.
    """

    settings: Settings
    console: Console
    registry: Consul
    proxy: ProxyClient
    deadline: Deadline
    phases: Phases = field(default_factory=Phases)
    timing: Timing = Timing()

    def with_deadline(self, deadline: Deadline) -> Context:
        """The same with another time limit."""
        return dataclasses.replace(self, deadline=deadline)

    def with_fresh_deadline(self) -> Context:
        """The same with its whole time limit again: waiting for another deploy's lock does not count."""
        return self.with_deadline(Deadline(self.deadline.seconds))

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        console: Console,
        seconds: float,
        phases: Phases | None = None,
        timing: Timing | None = None,
    ) -> Context:
        """The parts that the settings name.

        :param seconds: the time limit of the whole command.
        :param phases: the command's stopwatch; None starts one.
        :param timing: how long the parts may take; None means the usual times.
        """
        from jenkins_proxy.clients.consul.client import Consul
        from jenkins_proxy.clients.proxy import ProxyClient

        registry, proxy = Consul.from_settings(settings), ProxyClient.from_settings(settings)
        return cls(settings, console, registry, proxy, Deadline(seconds), phases or Phases(), timing or Timing())


@dataclass(frozen=True)
class Ready:
    """What preflight found: facts that a deployment needs, and no decision.

    :ivar preview: the daemon's answer to a dry run of the route; empty with ``--no-proxy``.
    :ivar route: the one to serve, completed by the target's labels; None with ``--no-proxy``.
    """

    orchestrator: Orchestrator
    project: ComposeProject
    target: Service
    preview: dict[str, Any] = field(default_factory=dict)
    route: Route | None = None

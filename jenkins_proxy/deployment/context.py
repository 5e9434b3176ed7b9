"""What a deploy is asked for, and what it speaks to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.console import Console
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Service
from jenkins_proxy.retry import Deadline
from jenkins_proxy.settings import Settings

PATIENCE = 120.0
"""Seconds for a roll-back: it has time of its own, as the deploy's may be what ran out."""

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
    """What is around a deploy: registry, proxy, the reader, and the time that all of it may take."""

    settings: Settings
    console: Console
    registry: Consul
    proxy: ProxyClient
    deadline: Deadline

    def with_fresh_deadline(self) -> Context:
        """The same with all of its time: what another deploy took, which held the lock, is not ours."""
        return dataclasses.replace(self, deadline=Deadline(self.deadline.seconds))

    @classmethod
    def from_settings(cls, settings: Settings, console: Console, seconds: float) -> Context:
        """The parts that the settings name.

        :param seconds: the time limit of the whole command.
        """
        return cls(
            settings, console, Consul.from_settings(settings), ProxyClient.from_settings(settings), Deadline(seconds)
        )


@dataclass(frozen=True)
class Ready:
    """What was found: all that a deploy needs.

    :ivar strategy: the one to use, and :ivar why: the reason, in words.
    :ivar preview: the daemon's answer to a dry run of the route; empty with ``--no-proxy``.
    :ivar route: the one to serve, completed by the target's labels; None with ``--no-proxy``.
    """

    orchestrator: Orchestrator
    project: ComposeProject
    target: Service
    strategy: str
    why: str
    preview: dict[str, Any] = field(default_factory=dict)
    route: Route | None = None

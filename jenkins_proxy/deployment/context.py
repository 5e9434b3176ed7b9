"""What a deployment is asked for, what it speaks to, and what preflight found."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy.console import Console
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.timing import GLANCE, Timing
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.project import ComposeProject, Service, Sides
from jenkins_proxy.retry import Deadline
from jenkins_proxy.settings import Settings
from jenkins_proxy.validation import few

if TYPE_CHECKING:  # an HTTP library takes longer to load than all that comes before a command's first line
    from jenkins_proxy.clients.consul.client import Consul
    from jenkins_proxy.clients.proxy import ProxyClient

AUTO, RECREATE, ROLLING, BLUE_GREEN = "auto", "recreate", "rolling", "blue-green"
STRATEGIES = (AUTO, RECREATE, ROLLING, BLUE_GREEN)
HOLD_TIMEOUT = 1800.0
"""For how many seconds candidates are held at most, unless told otherwise: a deploy's end is far before."""


@dataclass(frozen=True)
class Statuses:
    """HTTP status codes, as ranges that are both ends inclusive: ``200-399,401,403``."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        return any(first <= status <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    @classmethod
    def parse(cls, text: str) -> Statuses:
        """Read ``200-399,401``.

        :raises ValueError: for what is none.
        """
        ranges = []
        for part in text.split(","):
            numbers = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", part)
            if not numbers or int(numbers[2] or numbers[1]) < int(numbers[1]):
                raise ValueError(f"{part[:40]!r} is not a status like 200 or a range like 200-399")
            ranges.append((int(numbers[1]), int(numbers[2] or numbers[1])))
        return cls(tuple(ranges))


@dataclass(frozen=True)
class Check:
    """How an instance proves itself: by its answer to a request through the proxy.

    :ivar path: to request; empty means the route's ``check_path``, else its first path.
    :ivar statuses: that count as proof. A service may ask for a login or send on: it is reached all the same.
    :ivar host: for the Host header; empty means one that the route matches.
    :ivar timeout: seconds for one instance to begin to answer well. One that answers with errors has less.
    :ivar count: how many good answers in a row it takes.
    """

    path: str = ""
    statuses: Statuses = Statuses(((200, 399), (401, 401), (403, 403)))
    host: str = ""
    timeout: float = 30.0
    count: int = 1


@dataclass(frozen=True)
class DeployOptions:
    """The command line's options as data; none of them is checked yet.

    :ivar route: None with ``--no-proxy``.
    :ivar route_given: the fields of the route that arguments give: a label of the target does not replace them.
    :ivar project: the compose project or stack; empty means the one that :func:`project_name.resolve` finds.
    :ivar files: compose files, later ones over earlier ones; none means the one that compose finds by itself.
    :ivar profiles: of compose, beside those of the target.
    :ivar sides: the other compose services that are brought to what the files say, by name.
    :ivar with_sides: whether all others are.
    :ivar target: the compose service; empty means the one that publishes a port.
    :ivar others: the other targets: compose services that are deployed along with it, and reverted along with it.
    :ivar given: the names of those options that the caller gives and a compose file may have a default of: ``batch``,
        ``batch_delay``, ``check_timeout``, ``timeout``.
    :ivar scale: how many instances; None keeps what runs now.
    :ivar strategy_reason: who asks for the strategy, in words.
    :ivar build: whether to build the images of the targets and of what they need.
    :ivar adopt: whether the containers of another project that serve under the service's name are to be replaced.
    :ivar check: how a new instance proves itself.
    :ivar batch: how many containers a rolling deploy replaces at a time; 0 means all.
    :ivar batch_delay: seconds between one batch and the next.
    :ivar keep_old: whether blue-green leaves the other color running.
    :ivar settle: seconds of steady health before an instance counts.
    :ivar lock_timeout: seconds to wait for another deploy of the same service.
    :ivar hold: whether to end once the candidates are verified, and leave it to another command to let users in.
    :ivar hold_timeout: how many seconds the candidates may be held.
    :ivar key_file: where to write the key of the candidates that are left held; empty where the key was given.
    :ivar max_errors: how many of the users' requests may fail meanwhile; None means that nobody counts.
    """

    service: str
    project: str
    files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    route: Route | None = None
    route_given: frozenset[str] = frozenset()
    target: str = ""
    others: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    sides: tuple[str, ...] = ()
    with_sides: bool = False
    scale: int | None = None
    strategy: str = AUTO
    strategy_reason: str = "asked for"
    orchestrator: str = "auto"
    pull: bool = False
    build: bool = False
    adopt: bool = False
    check: Check = Check()
    batch: int = 0
    batch_delay: float = 0.0
    keep_old: bool = False
    settle: float = 0.0
    lock_timeout: float = 0.0
    hold: bool = False
    hold_timeout: float = HOLD_TIMEOUT
    key_file: str = ""
    max_errors: int | None = None


class Laggards:
    """The proxies that have not followed a change in time. Each is named once a command.

    :ivar named: those that were.
    """

    def __init__(self) -> None:
        self.named: set[str] = set()

    def report(self, console: Console, answer: Mapping[str, Any], seconds: float) -> None:
        """Name those that lag, in one line.

        :param answer: the proxy daemon's, to the change.
        :param seconds: for which they were waited for.
        """
        lagging = {name for name, state in (answer.get("proxies") or {}).items() if state != "serves"} - self.named
        self.named |= lagging
        if lagging:
            console.warning(
                f"after {seconds:g} s not yet served by {few(sorted(lagging))}: each goes on by itself, and serves its "
                "users as before until then"
            )


def _needs_no_lock() -> None:
    """Nothing is held."""


@dataclass(frozen=True)
class Context:
    """What is around a deployment: registry, proxy, the reader, and the time that all of it may take.

    :ivar phases: the stopwatch, which also knows the phase that runs.
    :ivar timing: how long the parts may take.
    :ivar laggards: the proxies that lag behind what the command changes.
    :ivar confirm: called before each change: it raises LockLost once another command had the lock of this one.
    """

    settings: Settings
    console: Console
    registry: Consul
    proxy: ProxyClient
    deadline: Deadline
    phases: Phases = field(default_factory=Phases)
    timing: Timing = Timing()
    laggards: Laggards = field(default_factory=Laggards)
    confirm: Callable[[], None] = _needs_no_lock

    def under(self, confirm: Callable[[], None]) -> Context:
        """The same for who holds a lock, which ``confirm`` looks after."""
        return dataclasses.replace(self, confirm=confirm)

    @property
    def proxies_seconds(self) -> float:
        """How long to wait for the other proxies: who was named once is not waited for again."""
        return min(self.timing.proxies, GLANCE) if self.laggards.named else self.timing.proxies

    def report_laggards(self, answer: Mapping[str, Any], seconds: float | None = None) -> None:
        """Name the proxies that have not followed within ``timing.proxies``, or ``seconds``, by the daemon's answer."""
        self.laggards.report(self.console, answer, self.proxies_seconds if seconds is None else seconds)

    def with_deadline(self, deadline: Deadline) -> Context:
        """The same with another time limit."""
        return dataclasses.replace(self, deadline=deadline)

    def with_more_time(self, seconds: float) -> Context:
        """The same with so many seconds more."""
        return self.with_deadline(Deadline(self.deadline.seconds + seconds)) if seconds else self

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

        registry, proxy = Consul.from_settings(settings), ProxyClient.from_settings(settings, console.step)
        return cls(settings, console, registry, proxy, Deadline(seconds), phases or Phases(), timing or Timing())


@dataclass(frozen=True)
class Ready:
    """What preflight found: facts that a deployment needs, and no decision.

    :ivar preview: the daemon's answer to a dry run of the route; empty with ``--no-proxy``.
    :ivar route: the one to serve, completed by the target's labels; None with ``--no-proxy``.
    :ivar adopted: containers of another project, or of none of ours, that the deploy takes over as its old ones.
    :ivar sides: the services beside the target that a deploy touches.
    :ivar options: as they are given, with what the compose file says; None where nobody asked for that.
    :ivar seconds: what the command gets beyond its time limit, as the file says.
    :ivar from_file: what the file says of the options, in words.
    """

    orchestrator: Orchestrator
    project: ComposeProject
    target: Service
    preview: dict[str, Any] = field(default_factory=dict)
    route: Route | None = None
    adopted: tuple[Container, ...] = ()
    sides: Sides = Sides()
    options: DeployOptions | None = None
    seconds: float = 0.0
    from_file: str = ""

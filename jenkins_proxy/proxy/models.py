"""The state of routes and of the proxy. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.holds import Hold

RELOAD = "reload"
RUNTIME = "runtime"
NONE = "none"


class ConflictError(ProxyError):
    """The change contradicts what is there: no live instance, or a path that another service holds (HTTP 409)."""


class NotReadyError(ConflictError):
    """There are live instances, and none of them has answered the check of its route yet (HTTP 409)."""


class NotRoutedError(ProxyError):
    """There is no route of this service (HTTP 404)."""


class NotCountedError(ProxyError):
    """The users of this service are not counted (HTTP 404)."""


class NotCertifiedError(ProxyError):
    """There is no certificate of this name (HTTP 404)."""


class Progress(StrEnum):
    """How far a proxy is with a change."""

    SERVES = "serves"
    LAGS = "lags"


class InstanceState(StrEnum):
    """What an instance gets of the requests."""

    SERVING = "serving"
    """Users' requests."""
    CANDIDATE = "candidate"
    """Requests with the key of the deploy that started it, and no user's."""
    DRAINING = "draining"
    """No new request; those in flight may end."""
    WAITING = "waiting"
    """None: it is not ready, not healthy, or not known to HAProxy yet."""


@dataclass(frozen=True)
class ServedInstance:
    """An instance of a route as the registry and HAProxy see it.

    :ivar serving: whether new requests go to it.
    :ivar draining: whether it takes no new requests: because of ``drain``, or because it left the registry.
    :ivar waiting_seconds: for how long it has not answered; 0 for one that has.
    """

    instance: Instance
    serving: bool
    draining: bool = False
    state: InstanceState = InstanceState.WAITING
    waiting_seconds: float = 0.0


@dataclass(frozen=True)
class RouteState:
    """A route and what is behind it.

    :ivar version: counts up with each change of the route; the same in every daemon. 0 while users do not have it.
    :ivar applied: what the call that answers with this state did: ``reload``, ``runtime`` or ``none``.
    :ivar timings: seconds that its phases took.
    :ivar diff: unified diff of the configuration, for a dry run.
    :ivar refused: why HAProxy refused this route, when it did; the others serve without it.
    :ivar hold: of the deploy that keeps instances from users, when there is one.
    :ivar proxies: how far each live proxy is with the change that the call has made, by its name.
    :ivar cut: how many streams a drain did not wait for any longer; None for every other call.
    """

    route: Route
    version: int
    instances: tuple[ServedInstance, ...] = ()
    applied: str = NONE
    timings: Mapping[str, float] = field(default_factory=dict, compare=False)
    diff: str = ""
    refused: str = ""
    hold: Hold | None = None
    proxies: Mapping[str, Progress] = field(default_factory=dict, compare=False)
    cut: int | None = None

    @property
    def serving(self) -> tuple[Address, ...]:
        """The addresses that new requests go to."""
        return tuple(served.instance.address for served in self.instances if served.serving)


@dataclass(frozen=True)
class Removal:
    """What the removal of a route came to.

    :ivar removed: whether there was one.
    :ivar proxies: how far each live proxy is, by its name.
    """

    removed: bool
    proxies: Mapping[str, Progress] = field(default_factory=dict)


@dataclass(frozen=True)
class ProxyState:
    """The whole daemon.

    :ivar version: of the configuration that HAProxy runs; counts up with each reload.
    :ivar serving: whether HAProxy runs and has the latest configuration.
    :ivar registry_lost_since: seconds since 1970 when the registry stopped to answer, or None while it answers.
    :ivar problem: the latest thing that went wrong and still is, in one line, else empty.
    :ivar complete: whether every part of the daemon runs.
    """

    version: int
    serving: bool
    routes: tuple[RouteState, ...]
    registry_lost_since: float | None = None
    problem: str = ""
    complete: bool = True

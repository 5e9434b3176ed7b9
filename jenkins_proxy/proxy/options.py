"""How a daemon runs."""

from __future__ import annotations

import functools
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.access.callers import ClientRoles
from jenkins_proxy.proxy.access.tokens import Tokens
from jenkins_proxy.proxy.api.docker_flow.params import Reconfigure
from jenkins_proxy.proxy.certificates.compose import CertificateOptions
from jenkins_proxy.proxy.haproxy.config import options as haproxy_options
from jenkins_proxy.proxy.timing import Timing

if TYPE_CHECKING:
    from jenkins_proxy.clients.docker.endpoint import Endpoint


@dataclass(frozen=True)
class Embedded:
    """A registry in this process, and the agent that fills it.

    :ivar engine: the Docker Engine whose containers are registered.
    :ivar ip: the address of every entry; empty: the binding's own.
    :ivar host_ip: the address for bindings on every address; empty: what the engine's host name resolves to.
    """

    listen: Address
    engine: Endpoint
    ip: str = ""
    host_ip: str = ""


@dataclass(frozen=True)
class Options:
    """How a daemon runs.

    :ivar listen: of the API.
    :ivar haproxy: what holds for HAProxy: where users enter, its timeouts.
    :ivar embedded: None when a Consul is given.
    :ivar connections: how many connections to the registry are held at most.
    :ivar tokens: what callers of the API may present.
    :ivar certificates: whom client certificates of the API stand for; None where they are not asked for.
    :ivar entry_certificates: where those come from that users meet, and the API's own.
    :ivar separator: between the items of a list, in calls of Docker Flow: Proxy.
    :ivar services: those of its environment.
    :ivar names: host names by which callers may reach the API and the embedded registry without a token.
    :ivar own_token: what the daemon itself presents to the embedded registry, which knows no other such token.
    """

    listen: Address
    haproxy: haproxy_options.Options
    embedded: Embedded | None
    state_dir: Path
    tokens: Tokens = Tokens()
    certificates: ClientRoles | None = None
    entry_certificates: CertificateOptions = CertificateOptions()
    tls: ssl.SSLContext | None = None
    connections: int = 100
    names: tuple[str, ...] = ()
    separator: str = ","
    services: tuple[Reconfigure, ...] = ()
    timing: Timing = Timing()
    own_token: str = field(default_factory=functools.partial(secrets.token_hex, 32), repr=False)

    @property
    def guarded(self) -> bool:
        """Whether callers of the API need a token or a certificate."""
        return bool(self.tokens) or self.certificates is not None

"""Instances, containers and routes as data. All frozen; nothing here does I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PASSING = "passing"
WARNING = "warning"
CRITICAL = "critical"
HIDDEN = "<hidden>"
"""What stands where a secret would."""
DOMAIN_REGEX = "hdr_reg(host)"
"""The ``domain_algo`` of a route whose domains are regular expressions."""


@dataclass(frozen=True, order=True, slots=True)
class Address:
    """Where an instance listens: ``10.100.192.202:32768``."""

    host: str
    port: int

    @property
    def has_port(self) -> bool:
        """Whether something can listen there. The registry takes any number; 0 is an entry without a port."""
        return 0 < self.port < 65536

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One address:port of a service in the registry.

    :ivar status: the worst of its checks and its node's: ``passing``, ``warning`` or ``critical``.
    :ivar checked: whether the service itself has a check; without one, ``passing`` says only that it is registered.
    :ivar output: the output of the first check that does not pass, else empty.
    """

    service: str
    id: str
    address: Address
    node: str = ""
    status: str = PASSING
    checked: bool = False
    output: str = ""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, order=True)
class Binding:
    """A published port: what ``docker port`` prints. ``host_ip`` may be ``0.0.0.0``, ``::`` or empty: every address."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Container:
    """A container of a compose project or stack, as the engine describes it.

    :ivar id: the full 64-digit ID.
    :ivar name: without the leading ``/``; with classic Swarm, without the node either.
    :ivar service: the compose service it belongs to (label ``com.docker.compose.service``).
    :ivar state: ``created``, ``running``, ``restarting``, ``exited``, ``dead`` …
    :ivar health: ``healthy``, ``unhealthy``, ``starting``, or empty when it has no HEALTHCHECK.
    :ivar node: the engine's host name where there are several, else empty.
    :ivar node_addresses: the addresses at which the node's published ports can appear in the registry.
    :ivar created: seconds since 1970.
    :ivar restarts: how often the engine has started it again by itself.
    """

    id: str
    name: str
    service: str
    project: str
    image: str
    state: str
    health: str = ""
    exit_code: int = 0
    bindings: tuple[Binding, ...] = ()
    node: str = ""
    node_addresses: tuple[str, ...] = ()
    created: float = 0.0
    restarts: int = 0
    image_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def failed(self) -> bool:
        """Whether it has ended badly, begins again and again, or its HEALTHCHECK has given it up."""
        return bool(self.state == "exited" and self.exit_code) or (
            self.state in ("dead", "restarting") or self.health == "unhealthy"
        )


@dataclass(frozen=True, slots=True)
class Route:
    """What makes requests reach a service. A service has one route.

    What each field means, what it may hold and what users call it stands in ``route_options/``. With ``color`` set,
    the instances are those of ``<service>-<color>``. A route without paths takes every path of its domains.
    """

    service: str
    paths: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    path_type: str = "path_beg"
    color: str = ""
    acl_name: str = ""
    skip_check: bool = False
    req_path_search: str = ""
    req_path_replace: str = ""
    outbound_hostname: str = ""
    slow_start: float = 0.0
    timeout_server: float = 0.0
    timeout_tunnel: float = 0.0
    check_path: str = ""
    domain_algo: str = ""
    service_header: tuple[str, ...] = ()
    user_agent: tuple[str, ...] = ()
    path_exclude: tuple[str, ...] = ()
    is_default_backend: bool = False
    redirect_from_domain: tuple[str, ...] = ()
    https_only: bool = False
    https_redirect_code: str = ""
    redirect_when_http_proto: bool = False
    redirect_unless_https_proto: bool = False
    deny_http: bool = False
    allowed_methods: tuple[str, ...] = ()
    denied_methods: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    ignore_authorization: bool = False
    req_path_search_replace: str = ""
    add_req_header: tuple[str, ...] = ()
    set_req_header: tuple[str, ...] = ()
    del_req_header: tuple[str, ...] = ()
    add_res_header: tuple[str, ...] = ()
    set_res_header: tuple[str, ...] = ()
    del_res_header: tuple[str, ...] = ()
    session_type: str = ""
    compression_algo: str = ""
    compression_type: tuple[str, ...] = ()
    check_tcp: bool = False
    src_port: str = ""
    req_mode: str = ""
    part_of: str = ""
    allow_from: tuple[str, ...] = ()
    proto: str = ""

    @property
    def registry_name(self) -> str:
        """The name under which the registry holds this route's instances."""
        return f"{self.service}-{self.color}" if self.color else self.service

    @property
    def page(self) -> str:
        """A path that the route matches; empty where none is known, as for a regular expression."""
        if not self.paths:
            return "/"
        first = self.paths[0]
        return first if self.path_type not in ("path_reg", "path_dom") and first.startswith("/") else ""

    @property
    def host(self) -> str:
        """A host that the route matches; for ``*.example.com`` it is ``www.example.com``.

        Empty when any does, and where none is known, as for a regular expression or the beginning of a host, ``api.``.
        """
        if self.domain_algo == DOMAIN_REGEX:
            return ""
        whole = [domain for domain in self.domains if not domain.endswith(".")]
        plain = [domain for domain in whole if not domain.startswith(("*", "."))]
        if plain:
            return plain[0]
        return f"www{whole[0].removeprefix('*')}" if whole else ""

    @property
    def tcp(self) -> bool:
        """Whether it is about connections, and not about HTTP's requests."""
        return self.req_mode in ("tcp", "sni")

    @property
    def request_headers(self) -> dict[str, str]:
        """Headers that a request needs to reach the route."""
        headers = dict(header.split(":", 1) for header in self.service_header)
        return {**headers, "User-Agent": self.user_agent[0]} if self.user_agent else headers

    @property
    def rewrites(self) -> tuple[tuple[str, str], ...]:
        """What is replaced in the path before a request goes on, in order: regular expressions and replacements."""
        pairs = [(self.req_path_search, self.req_path_replace)] if self.req_path_search else []
        texts = self.req_path_search_replace.split(":") if self.req_path_search_replace else []
        return (*pairs, *((search, replace) for search, _, replace in (text.partition(",") for text in texts)))

    def as_shown(self) -> dict[str, Any]:
        """As :meth:`as_dict`, for whoever may read: of users only their names."""
        return {**self.as_dict(), "users": [f"{user.partition(':')[0]}:{HIDDEN}" for user in self.users]}

    def as_dict(self) -> dict[str, Any]:
        """The route as JSON-ready data: every field, tuples as lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Route:
        """The inverse of :meth:`as_dict`. Unknown keys are left out, so that an older daemon reads a newer route.

        Values are not checked here: see :func:`~jenkins_proxy.route_options.check_route`.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in names
        }
        return cls(**values)

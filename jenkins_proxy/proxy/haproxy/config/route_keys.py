"""What a request must look like to reach a route, and which routes want the same request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from jenkins_proxy.model import DOMAIN_REGEX, Route
from jenkins_proxy.route_options.http_values import TLS_NAME

EXACT = "path"
PREFIX = "path_beg"
NO_HOST = -1
PART_OF_HOST = -2
CONNECTIONS = "port"
"""In place of a path type: of the key that the connections of a TCP port have."""
DEFAULT = "default_backend"
"""In place of a path type: of the key that every request has which no route is for."""
REGEX = "reg"
_HOST_MATCH = {"hdr_beg(host)": "beg", "hdr_end(host)": "end", "hdr_sub(host)": "sub", DOMAIN_REGEX: REGEX}
_EXACT_ALGOS = ("hdr(host)", TLS_NAME)


class ConditionKind(StrEnum):
    """What a condition looks at."""

    HEADER = "header"
    AGENT = "agent"
    OTHER_PATH = "other path"
    HOST = "host"
    PORT = "port"


@dataclass(frozen=True)
class Condition:
    """What a request must be like beside its host and path.

    :ivar name: the header, the path type, or how the host is compared; empty for a User-Agent.
    :ivar values: one of them is enough; of paths, none may match.
    """

    kind: ConditionKind
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """What a request must look like to reach a route.

    :ivar depth: 0 for the host itself, n for its suffix of n labels, ``PART_OF_HOST`` for a part of it, ``NO_HOST`` for
        any host.
    :ivar domain: ``example.com`` at depth 0, ``.example.com`` above, empty for any host.
    :ivar path_type: HAProxy's word for the comparison.
    """

    depth: int
    domain: str
    path_type: str
    path: str
    conditions: tuple[Condition, ...] = ()

    @property
    def text(self) -> str:
        """The key of the map file."""
        return self.domain + self.path


def keys(route: Route) -> Iterator[Key]:
    """What requests must look like to reach the route."""
    if route.tcp:
        yield from (Key(NO_HOST, name, CONNECTIONS, route.src_port) for name in _names(route))
        return
    # With domains alone, every path.
    anything = [(PREFIX, "/")] if route.domains else []
    paths = [(route.path_type, path) for path in route.paths] or anything
    conditions = tuple(_conditions(route))
    for path_type, path in paths:
        if not route.domains:
            yield Key(NO_HOST, "", path_type, path, conditions)
        for domain in route.domains:
            for depth, text, condition in _hosts(route, domain):
                yield Key(depth, text, path_type, path, (*conditions, *condition))
    for domain in route.redirect_from_domain:
        yield Key(0, domain.lower(), PREFIX, "/")
    if route.is_default_backend:
        yield Key(NO_HOST, "", DEFAULT, "")


def _hosts(route: Route, domain: str) -> Iterator[tuple[int, str, tuple[Condition, ...]]]:
    """The depths at which a domain is looked for, and its text and condition there."""
    wildcard, bare = domain.startswith("*."), domain.removeprefix("*.").lower()
    match = "" if wildcard else _HOST_MATCH.get(route.domain_algo, "")
    if match:
        yield PART_OF_HOST, "", (Condition(ConditionKind.HOST, match, (domain if match == REGEX else bare,)),)
        return
    if not wildcard:
        yield 0, bare, ()
    if wildcard or route.domain_algo not in _EXACT_ALGOS:
        yield bare.count(".") + 1, "." + bare, ()


def _conditions(route: Route) -> Iterator[Condition]:
    for header in sorted(route.service_header):
        name, _, value = header.partition(":")
        yield Condition(ConditionKind.HEADER, name, (value,))
    if route.user_agent:
        yield Condition(ConditionKind.AGENT, "", route.user_agent)
    if route.src_port:
        yield Condition(ConditionKind.PORT, "", (route.src_port,))
    if route.path_exclude:
        yield Condition(ConditionKind.OTHER_PATH, route.path_type, route.path_exclude)


def _names(route: Route) -> Iterator[str]:
    """The names in TLS that lead to a route of connections: of a domain itself and of all below it; empty for any."""
    for domain in route.domains:
        bare = domain.removeprefix("*.").lower()
        if domain.startswith("*."):
            yield f".{bare}"
        else:
            yield from (bare,) if route.domain_algo == TLS_NAME else (bare, f".{bare}")
    if not route.domains:
        yield ""


def in_order(routes: Iterable[Route]) -> list[Route]:
    """Routes in the order in which they are asked: that of ``acl_name``, or of the service where it has none."""
    return sorted(routes, key=lambda route: (route.acl_name or route.service, route.service))


def conflict(route: Route, others: Iterable[Route]) -> tuple[Key, Route] | None:
    """The first key of the route that the route of another service holds, and that route."""
    own = set(keys(route))
    for other in others:
        if other.service != route.service:
            shared = own.intersection(keys(other))
            if shared:
                return min(shared, key=lambda key: key.text), other
    return None

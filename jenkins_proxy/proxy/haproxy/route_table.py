"""Which request goes to which service, as data for map files and rules. Pure.

A request looks for its backend level by level, the most specific first, and the first level that knows it wins:

    the host itself           example.com/path         domain example.com
    each suffix of the host   .example.com/path        domains example.com and *.example.com, the longest suffix first
    no host                   /path                    routes without a domain

Within a level an equal path (``path``) goes before the irregular types (``path_reg``, ``path_end`` …, in the order of
``acl_name``), and these before the longest ``path_beg`` prefix. Equal paths and prefixes are keys of two map files,
which HAProxy keeps as trees: a thousand cost as much as ten. Irregular ones are a rule each and cost a comparison each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route

EXACT = "path"
PREFIX = "path_beg"
NO_HOST = -1
NO_ROUTE = "no-route"
"""The backend of requests that no route is for."""


@dataclass(frozen=True)
class Key:
    """What a request must look like to reach a route.

    :ivar depth: 0 for the host itself, n for its suffix of n labels, ``NO_HOST`` for any host.
    :ivar domain: ``example.com`` at depth 0, ``.example.com`` above, empty for any host.
    :ivar path_type: HAProxy's word for the comparison.
    """

    depth: int
    domain: str
    path_type: str
    path: str

    @property
    def text(self) -> str:
        """The key of the map file."""
        return self.domain + self.path


@dataclass(frozen=True)
class Rule:
    """An irregular key and where it leads."""

    key: Key
    backend: str


@dataclass(frozen=True)
class Level:
    """One step of the search.

    :ivar exact: whether the map of equal paths has keys for it; ``prefix`` likewise.
    """

    depth: int
    exact: bool
    prefix: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Table:
    """Everything that chooses the backend.

    :ivar levels: in the order of the search.
    :ivar exact: backends by the text of their key; ``prefix`` likewise.
    """

    levels: tuple[Level, ...]
    exact: dict[str, str]
    prefix: dict[str, str]


def backend_name(service: str) -> str:
    return f"{service}-be"


def server_name(address: Address) -> str:
    """The name of a server: stable for an address, and of characters that HAProxy allows: ``10.0.0.1:32768``."""
    return f"{address.host}:{address.port}"


def in_order(routes: Iterable[Route]) -> list[Route]:
    """Routes in the order in which they are asked: that of ``acl_name``, or of the service where it has none."""
    return sorted(routes, key=lambda route: (route.acl_name or route.service, route.service))


def keys(route: Route) -> Iterator[Key]:
    """What requests must look like to reach the route."""
    # With domains alone, every path.
    paths = [(route.path_type, path) for path in route.paths] or [(PREFIX, "/")]
    for path_type, path in paths:
        if not route.domains:
            yield Key(NO_HOST, "", path_type, path)
        for domain in route.domains:
            wildcard, bare = domain.startswith("*."), domain.removeprefix("*.").lower()
            if not wildcard:
                yield Key(0, bare, path_type, path)
            yield Key(bare.count(".") + 1, "." + bare, path_type, path)


def conflict(route: Route, others: Iterable[Route]) -> tuple[Key, Route] | None:
    """The first key of the route that the route of another service holds, and that route."""
    own = set(keys(route))
    for other in others:
        if other.service != route.service:
            shared = own.intersection(keys(other))
            if shared:
                return min(shared, key=lambda key: key.text), other
    return None


def table(routes: Iterable[Route]) -> Table:
    """The search for these routes. A key that several routes hold leads to the first in order."""
    maps: dict[str, dict[str, str]] = {EXACT: {}, PREFIX: {}}
    depths: dict[int, set[str]] = {}
    rules: dict[Key, Rule] = {}
    for route in in_order(routes):
        backend = backend_name(route.service)
        for key in keys(route):
            depths.setdefault(key.depth, set()).add(key.path_type)
            if key.path_type in maps:
                maps[key.path_type].setdefault(_map_key(key.text), backend)
            else:
                rules.setdefault(key, Rule(key, backend))
    levels = tuple(_level(depth, depths[depth], list(rules.values())) for depth in sorted(depths, key=_rank))
    return Table(levels, maps[EXACT], maps[PREFIX])


def _rank(depth: int) -> tuple[int, int]:
    """The host itself, then longer before shorter suffixes, then no host."""
    return (0, 0) if depth == 0 else (2, 0) if depth == NO_HOST else (1, -depth)


def _level(depth: int, path_types: set[str], rules: Sequence[Rule]) -> Level:
    return Level(
        depth, EXACT in path_types, PREFIX in path_types, tuple(rule for rule in rules if rule.key.depth == depth)
    )


def _map_key(text: str) -> str:
    # The grammar lets none through: this holds for routes that came another way, such as a hand-written KV entry.
    if not text.isascii() or not text.isprintable() or " " in text or text.startswith("#"):
        raise UsageError(f"{text!r} cannot be a key of a map file")
    return text

"""Which request goes to which service, as data for map files and rules. Pure.

A request looks for its backend level by level, the most specific first, and the first level that knows it wins:

    the host itself           example.com/path         domain example.com
    each suffix of the host   .example.com/path        domains example.com and *.example.com, the longest suffix first
    a part of the host                                 routes whose ``domain_algo`` compares with one
    no host                   /path                    routes without a domain

Within a level an equal path (``path``) goes before the irregular types (``path_reg``, ``path_end`` …, in the order of
``acl_name``), and these before the longest ``path_beg`` prefix. Equal paths and prefixes are keys of two map files,
which HAProxy keeps as trees: a thousand cost as much as ten. Irregular ones are a rule each and cost a comparison each.

A route may have further conditions: a header, a User-Agent, a path that it does not take. Then its key of the map leads
to a group: to the routes with this key, those with the most conditions first, and where none of them takes the request,
to where the next shorter key leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config.route_keys import (
    CONNECTIONS,
    DEFAULT,
    EXACT,
    NO_HOST,
    PART_OF_HOST,
    PREFIX,
    Condition,
    ConditionKind,
    Key,
    in_order,
    keys,
)
from jenkins_proxy.proxy.haproxy.names import NO_ROUTE, backend_name


@dataclass(frozen=True)
class Rule:
    """An irregular key and where it leads."""

    key: Key
    backend: str


@dataclass(frozen=True)
class Group:
    """What a key of a map leads to where some of its routes have conditions.

    :ivar name: stands in the map in place of a backend.
    :ivar choices: conditions and backends; the first whose conditions hold.
    :ivar otherwise: a backend, or another group, that comes later; empty where the search goes on.
    """

    name: str
    depth: int
    choices: tuple[tuple[tuple[Condition, ...], str], ...]
    otherwise: str


@dataclass(frozen=True)
class Level:
    """One step of the search.

    :ivar exact: whether the map of equal paths has keys for it; ``prefix`` likewise.
    :ivar exact_groups: of the keys of that map; ``prefix_groups`` likewise, the longest key first.
    """

    depth: int
    exact: bool
    prefix: bool
    rules: tuple[Rule, ...]
    exact_groups: tuple[Group, ...] = ()
    prefix_groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Table:
    """Everything that chooses the backend.

    :ivar levels: in the order of the search.
    :ivar exact: backends, or groups, by the text of their key; ``prefix`` likewise.
    :ivar default: the backend of requests that no level knows.
    """

    levels: tuple[Level, ...]
    exact: dict[str, str]
    prefix: dict[str, str]
    default: str = NO_ROUTE


def table(routes: Iterable[Route]) -> Table:
    """The search for these routes. A key that several routes hold leads to the first in order."""
    maps: dict[str, dict[str, str]] = {EXACT: {}, PREFIX: {}}
    conditional: dict[str, dict[str, dict[Key, str]]] = {EXACT: {}, PREFIX: {}}
    depths: dict[int, set[str]] = {}
    rules: dict[Key, Rule] = {}
    default = NO_ROUTE
    for route in in_order(routes):
        backend = backend_name(route.service)
        for key in keys(route):
            if key.path_type == CONNECTIONS:
                continue
            if key.path_type == DEFAULT:
                default = backend if default == NO_ROUTE else default
                continue
            depths.setdefault(key.depth, set()).add(key.path_type)
            if key.path_type not in maps or key.depth == PART_OF_HOST:
                rules.setdefault(key, Rule(key, backend))
            elif key.conditions:
                conditional[key.path_type].setdefault(_map_key(key.text), {}).setdefault(key, backend)
            else:
                maps[key.path_type].setdefault(_map_key(key.text), backend)
    groups = {kind: _groups(maps[kind], conditional[kind], kind) for kind in maps}
    ordered = sorted(rules.values(), key=_rule_rank)
    levels = tuple(
        Level(
            depth,
            EXACT in depths[depth] and depth != PART_OF_HOST,
            PREFIX in depths[depth] and depth != PART_OF_HOST,
            tuple(rule for rule in ordered if rule.key.depth == depth),
            *(tuple(group for group in groups[kind] if group.depth == depth) for kind in (EXACT, PREFIX)),
        )
        for depth in sorted(depths, key=_rank)
    )
    return Table(levels, maps[EXACT], maps[PREFIX], default)


def connections(routes: Iterable[Route], port: str) -> list[tuple[str, str]]:
    """The names in TLS that lead to a backend, at a TCP port, in the order in which they are looked for.

    :return: names and backends: ``a.org`` is a name, ``.a.org`` the end of one, and the empty one, the last, is all.
    """
    found: dict[str, str] = {}
    for route in in_order(routes):
        for key in keys(route):
            if key.path_type == CONNECTIONS and key.path == port:
                found.setdefault(key.domain, backend_name(route.service))
    return sorted(found.items(), key=lambda item: (not item[0], item[0].startswith("."), -len(item[0]), item[0]))


def _groups(entries: dict[str, str], conditional: Mapping[str, Mapping[Key, str]], kind: str) -> list[Group]:
    """The groups of a map of paths, in the order in which they are asked; its entries come to lead to them.

    :param entries: the backends of routes without conditions, by the text of their key.
    :param conditional: the backends of the others.
    """
    # The longer key first: what none of its routes takes goes on to a shorter one.
    texts = sorted(conditional, key=lambda text: (-len(text), text))
    plain = {text: entries[text] for text in texts if text in entries}
    entries.update({text: f"{kind}.{number}" for number, text in enumerate(texts)})
    groups = []
    for text in texts:
        own = sorted(conditional[text].items(), key=lambda item: _demands(item[0]), reverse=True)
        choices = tuple((key.conditions, backend) for key, backend in own)
        otherwise = plain.get(text) or (_shorter(text, entries) if kind == PREFIX else "")
        groups.append(Group(entries[text], own[0][0].depth, choices, otherwise))
    return groups


def _shorter(text: str, entries: Mapping[str, str]) -> str:
    """Where the next shorter key leads that the text begins with; empty where there is none."""
    return next((entries[text[:end]] for end in range(len(text) - 1, 0, -1) if text[:end] in entries), "")


def _rank(depth: int) -> tuple[int, int]:
    """The host itself, then longer before shorter suffixes, then parts of the host, then no host."""
    return {0: (0, 0), PART_OF_HOST: (2, 0), NO_HOST: (3, 0)}.get(depth, (1, -depth))


def _demands(key: Key) -> int:
    """How much a key demands of a request. Paths that it does not take say nothing of those that it does."""
    return sum(one.kind is not ConditionKind.OTHER_PATH for one in key.conditions)


def _rule_rank(rule: Rule) -> tuple[int, int, int, bool]:
    """Equal paths, irregular ones, then longer before shorter prefixes; of each, those with more conditions first."""
    key = rule.key
    kind = 0 if key.path_type == EXACT else 2 if key.path_type == PREFIX else 1
    return kind, -len(key.path) if key.path_type == PREFIX else 0, -_demands(key), not key.conditions


def _map_key(text: str) -> str:
    # The grammar lets none through: this holds for routes that came another way, such as a hand-written KV entry.
    if not text.isascii() or not text.isprintable() or " " in text or text.startswith("#"):
        raise UsageError(f"{text!r} cannot be a key of a map file")
    return text

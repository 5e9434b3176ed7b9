"""An expression as positions, and what may follow each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jenkins_proxy.regular_expressions.parse import DOT, Either, Look, Node, Repeat, Sequence, Signs

LONGEST = 1024
"""Bytes of a path that are compared with an expression."""
FEW = 16
"""So few rounds, of all repetitions in one another, are harmless whatever they hold."""

_FEW_EMPTY = 8
_EXPANDED = 64
_EMPTY = "what may match nothing is repeated"
_LOOKS = "it looks ahead or back with a repetition, again and again"


class TooCostly(Exception):
    """Its text says why."""


@dataclass
class Graph:
    """Positions, and what may follow each.

    :ivar masks: the bytes of each position.
    :ivar after: by position, how many ways lead to each that may follow.
    :ivar rounds: of each position, how many rounds the repetitions around it have, multiplied.
    :ivar choices: positions that one text reads in several ways without a repetition, and how many ways.
    :ivar looks: what is looked for ahead or back, and how many positions stand before it in the expression.
    :ivar greedy: positions of a ``.`` that is repeated without a limit, as often as it can first.
    """

    masks: list[int] = field(default_factory=list)
    after: list[dict[int, int]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    choices: list[tuple[frozenset[int], int]] = field(default_factory=list)
    looks: list[tuple[Node, int]] = field(default_factory=list)
    greedy: set[int] = field(default_factory=set)

    def choose(self, begin: int, ways: int) -> None:
        """All positions from one on can be read in so many ways."""
        self.choices.append((frozenset(range(begin, len(self.masks))), ways))

    def add(self, mask: int) -> int:
        """A new position."""
        self.masks.append(mask)
        self.after.append({})
        self.rounds.append(1)
        return len(self.masks) - 1

    def join(self, before: Mapping[int, int], after: Mapping[int, int]) -> None:
        """Let positions follow others; each is given with how many ways lead from and to it."""
        for one, ways_from in before.items():
            for other, ways_to in after.items():
                self.after[one][other] = self.after[one].get(other, 0) + ways_from * ways_to


@dataclass(frozen=True)
class Part:
    """A part of the expression in the graph.

    :ivar empty: in how many ways it may match nothing.
    :ivar first: the positions where it may begin, and how many ways lead to each; ``last`` where it may end.
    """

    empty: int
    first: Mapping[int, int] = field(default_factory=dict)
    last: Mapping[int, int] = field(default_factory=dict)


def add(graph: Graph, node: Node) -> Part:
    """Add an expression to a graph. :raises TooCostly: for what is too costly whatever follows."""
    if isinstance(node, Signs):
        own = {graph.add(node.mask): 1}
        return Part(0, own, own)
    if isinstance(node, Look):
        graph.looks.append((node.body, len(graph.masks)))
        return Part(1)
    if isinstance(node, Either):
        begin = len(graph.masks)
        parts = [add(graph, item) for item in node.items]
        if _alike(graph, parts):
            graph.choose(begin, len(parts))
        return Part(
            sum(part.empty for part in parts),
            {at: ways for part in parts for at, ways in part.first.items()},
            {at: ways for part in parts for at, ways in part.last.items()},
        )
    return _repeat(graph, node) if isinstance(node, Repeat) else _sequence(graph, node.items)


def _sequence(graph: Graph, items: Iterable[Node]) -> Part:
    whole = Part(1)
    for item in items:
        part = add(graph, item)
        graph.join(whole.last, part.first)
        if whole.empty * part.empty > FEW:
            raise TooCostly(_EMPTY)
        whole = Part(
            whole.empty * part.empty,
            {**whole.first, **_times(part.first, whole.empty)},
            {**part.last, **_times(whole.last, part.empty)},
        )
    return whole


def _times(ways: Mapping[int, int], more: int) -> dict[int, int]:
    return {at: count * more for at, count in ways.items()} if more else {}


def _repeat(graph: Graph, node: Repeat) -> Part:
    if node.most == 0:
        return Part(1)
    if node.least == node.most and not _has_repeat(node.body) and node.least * _size(node.body) <= _EXPANDED:
        return _sequence(graph, [node.body] * node.least)
    begin = len(graph.masks)
    part = add(graph, node.body)
    if node.most == 1:
        graph.choose(begin, 2)
        return Part(part.empty + (node.least == 0), part.first, part.last)
    if part.empty and (node.most is None or node.most > _FEW_EMPTY):
        raise TooCostly(_EMPTY)
    if any(_has_repeat(look) for look in _looks(node.body)):
        raise TooCostly(_LOOKS)
    for at in range(begin, len(graph.masks)):
        graph.rounds[at] *= node.most or LONGEST
    if node.most is None and not node.lazy and isinstance(node.body, Signs) and node.body.mask == DOT:
        graph.greedy.add(begin)
    graph.join(part.last, part.first)
    return Part(part.empty + (node.least == 0), part.first, part.last)


def _alike(graph: Graph, parts: Iterable[Part]) -> bool:
    """Whether two of these parts may begin with the same byte."""
    seen = 0
    for part in parts:
        own = 0
        for at in part.first:
            own |= graph.masks[at]
        if seen & own:
            return True
        seen |= own
    return False


def _inside(node: Node) -> Iterator[Node]:
    """The node and all within it."""
    yield node
    for item in node.items if isinstance(node, (Sequence, Either)) else () if isinstance(node, Signs) else (node.body,):
        yield from _inside(item)


def _has_repeat(node: Node) -> bool:
    return any(isinstance(one, Repeat) and one.most != 1 for one in _inside(node))


def _looks(node: Node) -> Iterator[Node]:
    return (one.body for one in _inside(node) if isinstance(one, Look))


def compiled_bytes(node: Node) -> int:
    """How large PCRE's form of an expression is, about: it repeats a group as often as its count says."""
    if isinstance(node, Signs):
        return 2 if node.mask.bit_count() <= 2 else 36
    if isinstance(node, (Sequence, Either)):
        return sum(compiled_bytes(item) + 3 for item in node.items)
    body = compiled_bytes(node.body) + 8
    return body if isinstance(node, Look) else body * max(node.most or 0, node.least, 1)


def _size(node: Node) -> int:
    return sum(isinstance(one, Signs) for one in _inside(node))

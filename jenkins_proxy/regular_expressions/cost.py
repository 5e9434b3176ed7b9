"""What an expression may cost, from its positions and what may follow each. Pure.

A position is a set of bytes in the expression. A cycle of positions is a repetition. Where one text leads round a cycle
in two ways, each round doubles the ways: the cost is exponential. Where a text can be divided between repetitions that
follow one another, the cost is the product of their lengths: two are harmless within :data:`LONGEST`, three are not.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jenkins_proxy.regular_expressions.parse import (
    EVERY,
    Either,
    Look,
    Node,
    NotUnderstood,
    Repeat,
    Sequence,
    Signs,
    tree,
)

LONGEST = 1024
"""Bytes of a path that are compared with an expression."""

# Steps of PCRE for one path: 3 ms and less.
_BUDGET = 4 * LONGEST**2
# So few rounds, of all repetitions in one another, are harmless whatever they hold.
_FEW = 16
_FEW_EMPTY = 8
_EXPANDED = 64
_WORK = 400_000
_NO_LINE_END = EVERY & ~(1 << 10)

_NESTED = "a repetition within a repetition can match one text in many ways"
_EMPTY = "what may match nothing is repeated"
_CHAIN = "repetitions that can share out one text follow one another"
_LOOKS = "it looks ahead or back with a repetition, again and again"
_COMPLICATED = "it is too complicated to be sure"


class _TooCostly(Exception):
    """Its text says why."""


@dataclass(frozen=True)
class Cost:
    """What an expression costs.

    :ivar danger: why it may take too long for some path of :data:`LONGEST` bytes; empty where it does not.
    :ivar steep: whether it costs more than a path's length times a few: then longer paths are kept from it.
    """

    danger: str
    steep: bool


@functools.lru_cache(maxsize=4096)
def cost(pattern: str) -> Cost:
    """What an expression costs, that Python's library takes."""
    try:
        whole = tree(pattern)
        # Of what begins with .* PCRE knows that it begins at the beginning.
        begins = pattern.startswith(("^", ".*")) and not isinstance(whole, Either)
        steps = _check(whole, begins=begins, ends="$" in pattern)
    except (_TooCostly, NotUnderstood) as reason:
        return Cost(str(reason), True)
    except (RecursionError, IndexError):
        return Cost(_COMPLICATED, True)
    return Cost("", steps > _FEW * LONGEST)


@dataclass
class _Graph:
    """Positions, and what may follow each.

    :ivar masks: the bytes of each position.
    :ivar after: by position, how many ways lead to each that may follow.
    :ivar rounds: of each position, how many rounds the repetitions around it have, multiplied.
    :ivar choices: positions that one text reads in several ways without a repetition, and how many ways.
    :ivar looks: what is looked for ahead or back.
    """

    masks: list[int] = field(default_factory=list)
    after: list[dict[int, int]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    choices: list[tuple[frozenset[int], int]] = field(default_factory=list)
    looks: list[Node] = field(default_factory=list)

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
class _Part:
    """A part of the expression in the graph.

    :ivar empty: in how many ways it may match nothing.
    :ivar first: the positions where it may begin, and how many ways lead to each; ``last`` where it may end.
    """

    empty: int
    first: Mapping[int, int] = field(default_factory=dict)
    last: Mapping[int, int] = field(default_factory=dict)


def _check(node: Node, *, begins: bool, ends: bool) -> int:
    """How many steps an expression takes for the longest path.

    :param begins: whether it matches from the beginning only, and ``ends`` whether to the end only.
    :raises _TooCostly: when it is.
    """
    graph = _Graph()
    if begins:
        whole = _add(graph, node)
    else:
        # It is tried from each byte on: as if it began with a repetition of any.
        start = graph.add(EVERY)
        graph.rounds[start] = LONGEST
        whole = _add(graph, node)
        graph.join({start: 1}, {start: 1, **whole.first})
    looks = sum(_check(look, begins=True, ends=True) for look in graph.looks)
    cycles = _cycles(graph)
    for cycle in cycles:
        if max(graph.rounds[at] for at in cycle) > _FEW:
            _check_ambiguity(graph, cycle)
    return looks + _chains(graph, cycles, _always_ends(graph, whole, ends))


def _add(graph: _Graph, node: Node) -> _Part:
    if isinstance(node, Signs):
        own = {graph.add(node.mask): 1}
        return _Part(0, own, own)
    if isinstance(node, Look):
        graph.looks.append(node.body)
        return _Part(1)
    if isinstance(node, Either):
        begin = len(graph.masks)
        parts = [_add(graph, item) for item in node.items]
        if _alike(graph, parts):
            graph.choose(begin, len(parts))
        return _Part(
            sum(part.empty for part in parts),
            {at: ways for part in parts for at, ways in part.first.items()},
            {at: ways for part in parts for at, ways in part.last.items()},
        )
    return _repeat(graph, node) if isinstance(node, Repeat) else _sequence(graph, node.items)


def _sequence(graph: _Graph, items: Iterable[Node]) -> _Part:
    whole = _Part(1)
    for item in items:
        part = _add(graph, item)
        graph.join(whole.last, part.first)
        # More than a few ways are as bad as a few, and numbers stay small.
        whole = _Part(
            min(whole.empty * part.empty, _FEW),
            {**whole.first, **_times(part.first, whole.empty)},
            {**part.last, **_times(whole.last, part.empty)},
        )
    return whole


def _times(ways: Mapping[int, int], more: int) -> dict[int, int]:
    return {at: count * more for at, count in ways.items()} if more else {}


def _repeat(graph: _Graph, node: Repeat) -> _Part:
    if node.most == 0:
        return _Part(1)
    if node.least == node.most and not _has_repeat(node.body) and node.least * _size(node.body) <= _EXPANDED:
        return _sequence(graph, [node.body] * node.least)
    begin = len(graph.masks)
    part = _add(graph, node.body)
    if node.most == 1:
        graph.choose(begin, 2)
        return _Part(part.empty + (node.least == 0), part.first, part.last)
    if part.empty and (node.most is None or node.most > _FEW_EMPTY):
        raise _TooCostly(_EMPTY)
    if any(_has_repeat(look) for look in _looks(node.body)):
        raise _TooCostly(_LOOKS)
    for at in range(begin, len(graph.masks)):
        graph.rounds[at] *= node.most or LONGEST
    graph.join(part.last, part.first)
    return _Part(part.empty + (node.least == 0), part.first, part.last)


def _alike(graph: _Graph, parts: Iterable[_Part]) -> bool:
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


def _size(node: Node) -> int:
    return sum(isinstance(one, Signs) for one in _inside(node))


def _always_ends(graph: _Graph, whole: _Part, ends: bool) -> frozenset[int]:
    """The positions in which the match succeeds whatever follows: no way back is ever tried from there."""
    return frozenset(
        at
        for at in whole.last
        if not ends or (at in graph.after[at] and graph.masks[at] & _NO_LINE_END == _NO_LINE_END)
    )


def _cycles(graph: _Graph) -> list[frozenset[int]]:
    """The sets of positions that lead to one another, in the order in which they follow."""
    if len(graph.masks) * sum(map(len, graph.after)) > 5 * _WORK:
        raise _TooCostly(_COMPLICATED)
    found: list[frozenset[int]] = []
    ahead = [_reached(graph, at) for at in range(len(graph.masks))]
    seen: set[int] = set()
    for at, reached in enumerate(ahead):
        if at in reached and at not in seen:
            found.append(frozenset(other for other in reached if at in ahead[other]))
            seen |= found[-1]
    return found


def _reached(graph: _Graph, begin: int, common: int = EVERY) -> set[int]:
    """The positions that some bytes of a set lead to."""
    seen: set[int] = set()
    waiting = [begin]
    while waiting:
        for other in graph.after[waiting.pop()]:
            if other not in seen and graph.masks[other] & common:
                seen.add(other)
                waiting.append(other)
    return seen


def _check_ambiguity(graph: _Graph, cycle: frozenset[int]) -> None:
    """:raises _TooCostly: when one text leads round the cycle in two ways."""
    inside = {at: {other: ways for other, ways in graph.after[at].items() if other in cycle} for at in cycle}
    if any(ways > 1 for after in inside.values() for ways in after.values()):
        raise _TooCostly(_NESTED)
    # Two walkers read one text from one position: it is ambiguous when they part and meet again.
    waiting, work = [(at, at) for at in cycle], 0
    seen = set(waiting)
    while waiting:
        one, two = waiting.pop()
        for next_one in inside[one]:
            for next_two in inside[two]:
                work += 1
                pair = (min(next_one, next_two), max(next_one, next_two))
                if not graph.masks[next_one] & graph.masks[next_two]:
                    continue
                if next_one == next_two and one != two:
                    raise _TooCostly(_NESTED)
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)
        if work > _WORK:
            raise _TooCostly(_COMPLICATED)


def _chains(graph: _Graph, cycles: list[frozenset[int]], ends: frozenset[int]) -> int:
    """In how many ways a text can be divided between repetitions and choices that follow one another.

    :raises _TooCostly: when they are too many.
    """
    parts = [(cycle, min(max(graph.rounds[at] for at in cycle), LONGEST)) for cycle in cycles] + graph.choices
    parts = sorted((part for part in parts if part[0] and not part[0] & ends), key=lambda part: -max(part[0]))
    if len(parts) ** 2 * len(graph.masks) > _WORK:
        raise _TooCostly(_COMPLICATED)
    # From the last one back: each leads to later ones only.
    costs: list[tuple[frozenset[int], int]] = []
    for part, ways in parts:
        own = _bytes(graph, part)
        shared = [most for other, most in costs if _share(graph, part, other, own & _bytes(graph, other))]
        costs.append((part, ways * max(shared, default=1)))
        if costs[-1][1] > _BUDGET:
            raise _TooCostly(_CHAIN)
    return max((most for _, most in costs), default=1)


def _bytes(graph: _Graph, cycle: frozenset[int]) -> int:
    mask = 0
    for at in cycle:
        mask |= graph.masks[at]
    return mask


def _share(graph: _Graph, cycle: frozenset[int], other: frozenset[int], common: int) -> bool:
    """Whether bytes that both can read lead from one cycle to the other."""
    return bool(common) and any(_reached(graph, at, common) & other for at in cycle)

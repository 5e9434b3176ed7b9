"""What an expression may cost, from its positions and what may follow each. Pure.

A position is a set of bytes in the expression. A cycle of positions is a repetition. Where one text leads round a cycle
in two ways, each round doubles the ways: the cost is exponential. Where a text can be divided between repetitions that
follow one another, the cost is the product of their lengths: two are harmless within the longest path, three are not.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from jenkins_proxy.regular_expressions.graph import FEW, LONGEST, Graph, Part, TooCostly, add, compiled_bytes
from jenkins_proxy.regular_expressions.parse import EVERY, Either, Node, NotUnderstood, tree

# Steps of PCRE for one path: 3 ms and less.
_BUDGET = 4 * LONGEST**2
# What grows with the square of a path has more, and what does not is harmless for the longest that HAProxy takes.
_LINEAR = 128 * LONGEST
_WORK = 400_000
# What PCRE takes is less than 64 KiB.
_COMPILED_BYTES = 50_000
# The longest text that is looked for to repeat itself within an expression.
_PERIOD = 128

_NESTED = "a repetition within a repetition can match one text in many ways"
_CHAIN = "repetitions that can share out one text follow one another"
_LARGE = "its counted repetitions make it too large"
_COMPLICATED = "it is too complicated to be sure"


@dataclass(frozen=True)
class Cost:
    """What an expression costs.

    :ivar danger: why it may take too long for some path of as many bytes as are compared; empty where it does not.
    :ivar steep: whether it costs more than a path's length times a few: then longer paths are kept from it.
    """

    danger: str
    steep: bool


@functools.lru_cache(maxsize=4096)
def cost(pattern: str, *, fold: bool = False) -> Cost:
    """What an expression costs, that Python's library takes.

    :param fold: whether it is compared without regard to capitals, whatever it says itself.
    """
    try:
        whole = tree(pattern, fold=fold)
        # Of what begins with .* PCRE knows that it begins at the beginning.
        begins = pattern.startswith(("^", ".*")) and not isinstance(whole, Either)
        rest = pattern.replace("[^", "[").removeprefix("^")
        steps = _check(whole, begins=begins, asks="$" in rest, whole="^" not in rest)
    except (TooCostly, NotUnderstood) as reason:
        return Cost(str(reason), True)
    except (RecursionError, IndexError):
        return Cost(_COMPLICATED, True)
    return Cost(_LARGE if compiled_bytes(whole) > _COMPILED_BYTES else "", steps > _LINEAR)


def _check(node: Node, *, begins: bool, asks: bool, whole: bool = True) -> int:
    """How many steps an expression takes for the longest path.

    :param begins: whether it matches from the beginning only.
    :param asks: whether it may ask for the end.
    :param whole: whether it succeeds where its last position is reached: it asks for no beginning, and is no part of
        another one, which may look for it again and again.
    :raises TooCostly: when it is.
    """
    graph = Graph()
    if begins:
        part = add(graph, node)
    else:
        # It is tried from each byte on: as if it began with a repetition of any.
        start = graph.add(EVERY)
        graph.rounds[start] = LONGEST
        part = add(graph, node)
        graph.join({start: 1}, {start: 1, **part.first})
    cycles = _cycles(graph)
    parts = _parts(graph, cycles)
    ends = _always_ends(graph, part, asks) if whole else frozenset()
    steps = _chains(graph, parts, ends) * _longest_run(graph, frozenset().union(*cycles))
    # Each is looked for in as many ways as there are to come to it.
    for look, before in graph.looks:
        ways = _chains(graph, [one for one in parts if min(one[0], default=0) < before], frozenset())
        steps += ways * _check(look, begins=True, asks=True, whole=False)
    if steps > _BUDGET:
        raise TooCostly(_CHAIN)
    return steps


def _parts(graph: Graph, cycles: list[frozenset[int]]) -> list[tuple[frozenset[int], int]]:
    """What can read a text in several ways, and in how many.

    :raises TooCostly: when they are too many.
    """
    # Each round reads as many bytes as it has positions, at the most.
    found = [(cycle, min(_rounds(graph, cycle) * len(cycle), LONGEST)) for cycle in cycles]
    for cycle in cycles:
        rounds = _rounds(graph, cycle)
        try:
            _check_ambiguity(graph, cycle)
        except TooCostly:
            if rounds > FEW:
                raise
            # In each round one of these again.
            choices = math.prod(ways for choice, ways in graph.choices if choice <= cycle)
            found.append((cycle, max(choices, 2) ** rounds))
    return found + graph.choices


def _rounds(graph: Graph, cycle: frozenset[int]) -> int:
    return max(graph.rounds[at] for at in cycle)


def _always_ends(graph: Graph, part: Part, asks: bool) -> frozenset[int]:
    """The positions in which the match succeeds whatever follows: no way back is ever tried from there."""
    return frozenset(at for at in part.last if not asks or at in graph.greedy)


def _longest_run(graph: Graph, repeated: frozenset[int]) -> int:
    """How many positions beside repetitions one text may go through, from each byte of it on, before it fails."""
    size = len(graph.masks)
    lengths = [0 if at in repeated else 1 for at in range(size)]
    for at in range(size):
        for other in graph.after[at]:
            if other > at and other not in repeated and graph.masks[at] & graph.masks[other]:
                lengths[other] = max(lengths[other], lengths[at] + 1)
    longest = max(lengths, default=1)
    straight = [at + 1 in after and at not in repeated for at, after in enumerate(graph.after)]
    # abababab: a text that repeats itself goes through it from every second byte on.
    for period in range(2, min(size, _PERIOD)):
        run = 0
        for at in range(size - period):
            run = run + 1 if straight[at + period - 1] and graph.masks[at] & graph.masks[at + period] else 0
            longest = max(longest, 1 + run // period)
    return max(longest, 1)


def _cycles(graph: Graph) -> list[frozenset[int]]:
    """The sets of positions that lead to one another, in the order in which they follow."""
    if len(graph.masks) * sum(map(len, graph.after)) > 5 * _WORK:
        raise TooCostly(_COMPLICATED)
    found: list[frozenset[int]] = []
    ahead = [_reached(graph, at) for at in range(len(graph.masks))]
    seen: set[int] = set()
    for at, reached in enumerate(ahead):
        if at in reached and at not in seen:
            found.append(frozenset(other for other in reached if at in ahead[other]))
            seen |= found[-1]
    return found


def _reached(graph: Graph, begin: int, common: int = EVERY) -> set[int]:
    """The positions that some bytes of a set lead to."""
    seen: set[int] = set()
    waiting = [begin]
    while waiting:
        for other in graph.after[waiting.pop()]:
            if other not in seen and graph.masks[other] & common:
                seen.add(other)
                waiting.append(other)
    return seen


def _check_ambiguity(graph: Graph, cycle: frozenset[int]) -> None:
    """:raises TooCostly: when one text leads round the cycle in two ways."""
    inside = {at: {other: ways for other, ways in graph.after[at].items() if other in cycle} for at in cycle}
    if any(ways > 1 for after in inside.values() for ways in after.values()):
        raise TooCostly(_NESTED)
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
                    raise TooCostly(_NESTED)
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)
        if work > _WORK:
            raise TooCostly(_COMPLICATED)


def _chains(graph: Graph, parts: list[tuple[frozenset[int], int]], ends: frozenset[int]) -> int:
    """In how many ways a text can be divided between repetitions and choices that follow one another.

    :param parts: as of :func:`_parts`.
    :raises TooCostly: when they are too many.
    """
    parts = sorted((part for part in parts if part[0] and not part[0] <= ends), key=lambda part: -max(part[0]))
    if len(parts) ** 2 * len(graph.masks) > _WORK:
        raise TooCostly(_COMPLICATED)
    # From the last one back: each leads to later ones only.
    costs: list[tuple[frozenset[int], int]] = []
    for part, ways in parts:
        own = _bytes(graph, part)
        shared = [most for other, most in costs if _share(graph, part, other, own & _bytes(graph, other))]
        costs.append((part, ways * max(shared, default=1)))
        if costs[-1][1] > _BUDGET:
            raise TooCostly(_CHAIN)
    return max((most for _, most in costs), default=1)


def _bytes(graph: Graph, cycle: frozenset[int]) -> int:
    mask = 0
    for at in cycle:
        mask |= graph.masks[at]
    return mask


def _share(graph: Graph, cycle: frozenset[int], other: frozenset[int], common: int) -> bool:
    """Whether bytes that both can read lead from one cycle to the other."""
    return bool(common) and any(_reached(graph, at, common) & other for at in cycle)

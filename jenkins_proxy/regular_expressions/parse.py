"""A regular expression as a tree. Pure.

Of the signs that a route's expressions may hold, and of what Python's library and PCRE both read: no backslashes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVERY = (1 << 256) - 1
"""The set of all bytes: bit n stands for byte n."""
DOT = EVERY & ~(1 << 10)
"""What ``.`` stands for."""
_COUNT = re.compile(r"\{(?:([0-9]+)(,?)([0-9]*)|(,)([0-9]+))\}")
_NAMED = re.compile(r"\[:\^?[a-z]+:\]")
_GROUP = re.compile(r"\?(?:P?<\w+>|(?P<look>=|!|<=|<!)|>|(?P<flags>[a-zA-Z]*(?:-[a-zA-Z]+)?)(?P<end>[:)]))")


class NotUnderstood(Exception):
    """The expression has what is not looked into. Its text says what."""


@dataclass(frozen=True)
class Signs:
    """One byte of a set."""

    mask: int


@dataclass(frozen=True)
class Sequence:
    """One after the other; empty for what matches nothing."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """One of them."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """Again and again.

    :ivar most: None without a limit.
    :ivar lazy: whether it tries fewer rounds first.
    """

    body: Node
    least: int
    most: int | None
    lazy: bool = False


@dataclass(frozen=True)
class Look:
    """What has to follow or stand before, and is not a part of the match."""

    body: Node


Node = Signs | Sequence | Either | Repeat | Look


def tree(pattern: str, *, fold: bool = False) -> Node:
    """An expression that Python's library takes.

    :param fold: whether it is compared without regard to capitals, whatever it says itself.
    :raises NotUnderstood: for a part that is not looked into.
    """
    return _Parser(pattern, fold).either()


class _Parser:
    def __init__(self, pattern: str, fold: bool) -> None:
        self._text, self._at = pattern, 0
        # Wherever the flag stands: at the worst, letters are taken for more alike than they are.
        self._fold = fold or bool(re.search(r"\(\?[a-zA-Z]*i", pattern))

    def either(self) -> Node:
        items = [self._sequence()]
        while self._next("|"):
            items.append(self._sequence())
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            items.append(self._repeated(self._atom()))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _next(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _atom(self) -> Node:
        if self._next("("):
            return self._group()
        if self._next("["):
            return self._class()
        if self._next("."):
            return Signs(DOT)
        sign = self._text[self._at]
        self._at += 1
        return Sequence(()) if sign in "^$" else Signs(self._mask(sign))

    def _repeated(self, body: Node) -> Node:
        while True:
            bounds = self._bounds()
            if bounds is None:
                return body
            lazy = self._next("?")
            # A possessive one is taken as the ordinary one, which tries no less.
            self._at += not lazy and self._text.startswith("+", self._at)
            body = Repeat(body, *bounds, lazy)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._next(sign):
                return bounds
        count = _COUNT.match(self._text, self._at)
        if not count:
            return None
        self._at = count.end()
        if count[4]:
            return 0, int(count[5])
        return int(count[1]), int(count[3]) if count[3] else None if count[2] else int(count[1])

    def _group(self) -> Node:
        look = False
        if self._text.startswith("?", self._at):
            kind = _GROUP.match(self._text, self._at)
            if not kind:
                raise NotUnderstood("it refers to a group of its own")
            self._at, look = kind.end(), bool(kind["look"])
            if kind["end"] == ")":
                return Sequence(())
        body = self.either()
        self._at += 1  # the bracket
        return Look(body) if look else body

    def _class(self) -> Node:
        negated = self._next("^")
        mask, first = 0, True
        while first or not self._next("]"):
            named = _NAMED.match(self._text, self._at)
            if named:
                # Python and PCRE read these names differently: whatever it is.
                mask, first, self._at = EVERY, False, named.end()
                continue
            low = self._text[self._at]
            self._at += 1
            high = low
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                high, self._at = self._text[self._at + 1], self._at + 2
            for code in range(ord(low), ord(high) + 1):
                mask |= self._mask(chr(code))
            first = False
        return Signs(EVERY & ~mask if negated else mask)

    def _mask(self, sign: str) -> int:
        if not self._fold:
            return 1 << ord(sign)
        return 1 << ord(sign.lower()) | 1 << ord(sign.upper())

"""Reads the calls of our steps in Groovy text, tolerantly: enough to hold their keys to what the steps take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.docs import sources

_CALL = re.compile(rf"\b({'|'.join(sources.STEPS)})\b(?=[( ])")
_STRING = re.compile(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Call:
    """A call of a step with the keys that are written in it. :ivar line: of the text, from 1."""

    step: str
    keys: tuple[str, ...]
    line: int


def calls(text: str) -> Iterator[Call]:
    """The calls of our steps in a text."""
    code = _blank(text)
    for found in _CALL.finditer(code):
        arguments = _arguments(code, found.end())
        yield Call(found[1], tuple(_keys(arguments)), code.count("\n", 0, found.start()) + 1)


def problems(call: Call) -> list[str]:
    """Keys that the step does not take, and required ones that are missing."""
    known = known_keys(call.step)
    words = {key: known.get(key, key) for key in call.keys}
    found = [f"{call.step} takes no {key}" for key in call.keys if key not in known]
    for names in sources.required(call.step):
        if not any(name in words.values() for name in names):
            found.append(f"{call.step} needs {' or '.join(names)}")
    return found


def known_keys(step: str) -> Mapping[str, str]:
    """Every key and other word that a step takes, with the key that it stands for."""
    own_keys = sources.keys(step)
    names = {key.name for key in own_keys}
    parts = (
        sources.keys("jenkinsProxyKeys", "OPTIONS"),
        own_keys,
        sources.keys("jenkinsProxyKeys", "ROUTE") if "path" in names else (),
        sources.keys("jenkinsProxyKeys", "TEST") if "hold" in names else (),
        sources.keys("jenkinsProxyKeys", "JENKINS"),
    )
    own = {key.name: key.name for part in parts for key in part}
    return {**{word: key for word, key in sources.aliases().items() if key in own}, **own}


def _blank(text: str) -> str:
    """The text with comments and what strings say blanked out, of the same length."""
    # Strings first: `https://` begins no comment.
    pattern = re.compile(f"{_STRING.pattern}|{_COMMENT.pattern}", re.S)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]) if found[0][0] == "/" else _quoted(found[0]), text)


def _quoted(text: str) -> str:
    return "'" + "x" * (len(text) - 2) + "'"


def _arguments(code: str, start: int) -> str:
    """From behind a step's name: what stands in its parentheses, or, without any, the rest of the statement."""
    if code[start] == "(":
        return code[start + 1 : _closing(code, start)]
    lines = code[start:].split("\n")
    # A comma at the end of a line goes on in the next.
    last = next((at for at, line in enumerate(lines) if not line.rstrip().endswith(",")), len(lines))
    return "\n".join(lines[: last + 1])


def _closing(code: str, start: int) -> int:
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] in _OPEN) - (code[at] in _CLOSE)
        if depth == 0:
            return at
    raise ValueError("a parenthesis is not closed")


def _keys(arguments: str) -> Sequence[str]:
    """The names before a colon that stand at the top level."""
    top, depth = [], 0
    for character in arguments:
        depth -= character in _CLOSE
        top.append(character if depth == 0 else " ")
        depth += character in _OPEN
    return re.findall(r"(?:^|,)\s*(\w+)\s*:", "".join(top))

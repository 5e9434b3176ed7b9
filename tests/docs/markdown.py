"""Pages as the tests read them: fenced blocks, generated blocks, links and the anchors that links lead to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.M | re.S)
_GENERATED = re.compile(r"(<!-- generated: (?P<name>[a-zA-Z-]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.S)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block. :ivar kind: its info string. :ivar line: of the page, where its text begins."""

    kind: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for fence in _FENCE.finditer(page):
        yield Block(fence[1].strip(), fence[2], page.count("\n", 0, fence.start(2)) + 1)


def generated(page: str) -> dict[str, str]:
    """The generated blocks of a page: name to text."""
    return {found["name"]: found["text"] for found in _GENERATED.finditer(page)}


def with_generated(page: str, texts: Mapping[str, str]) -> str:
    """The page with each of its generated blocks as ``texts`` has it.

    :raises KeyError: for a block that ``texts`` does not have.
    """
    return _GENERATED.sub(lambda found: f"{found[1]}{texts[found['name']]}{found[4]}", page)


def links(page: str) -> list[str]:
    """The targets of inline links, those in code left out."""
    return _LINK.findall(_without_code(page))


def anchors(page: str) -> set[str]:
    """What ``#…`` can name: the headings, as GitHub spells them."""
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(_FENCE.sub("", page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def _without_code(page: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page))

"""The table of compose files' keys: written from the table that the tests hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.fixtures.compose_keys.key import COLUMNS, MEANINGS
from tests.fixtures.compose_keys.table import KEYS


def table(make: Callable[[Sequence[str], Iterable[Sequence[str]]], str]) -> str:
    """Every key, and what each orchestrator makes of it."""
    rows = [(f"`{key.name}`", *(_cell(letter) for letter in key.cells), key.note) for key in KEYS]
    return make(("key", *COLUMNS, "note"), rows)


def _cell(letter: str) -> str:
    # What is as one wishes is quiet, so that the rest is seen.
    return MEANINGS[letter] if letter == "H" else f"**{MEANINGS[letter]}**"

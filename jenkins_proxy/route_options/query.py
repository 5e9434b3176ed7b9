"""Parameters in text, with their types: of a URL's query, or of labels. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from jenkins_proxy.errors import UsageError

FALSE = ("0", "f", "F", "FALSE", "false", "False")
TRUE = ("1", "t", "T", "TRUE", "true", "True")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Query:
    """The parameters of one request.

    :param pairs: names and decoded values, in the order of the URL.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def text(self, name: str, default: str = "") -> str:
        """One value.

        :param default: the value where the parameter is missing.
        :raises UsageError: when it is given twice with different values.
        """
        values = self._values.get(name, [default])
        if any(value != values[0] for value in values):
            raise UsageError(f"{name} is given {len(values)} times with different values")
        return values[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """Every value that is given and not empty."""
        return tuple(value for value in self._values.get(name, ()) if value)

    def list(self, name: str) -> tuple[str, ...]:
        """The items of a comma list; of all lists, when the parameter is repeated."""
        return tuple(item for value in self.texts(name) for item in value.split(","))

    def flag(self, name: str) -> bool:
        """A flag as Go's ``ParseBool`` reads it; any other text is an error, not false."""
        value = self.text(name)
        if value not in ("", *TRUE, *FALSE):
            raise UsageError(f"{name} {value[:20]!r} is not allowed: it must be true or false")
        return value in TRUE

    def number(self, name: str, default: float, maximum: float) -> float:
        """A number from 0 to ``maximum``; ``default`` when it is not given. :raises UsageError: when it is another."""
        value = self.text(name)
        if not value:
            return default
        number = float(value) if _NUMBER.fullmatch(value) else -1.0
        if not 0 <= number <= maximum:
            raise UsageError(f"{name} {value[:20]!r} is not allowed: it must be a number from 0 to {maximum:g}")
        return number

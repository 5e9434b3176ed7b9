"""HAProxy's totals of one worker, from ``show stat``: management guide 2.6, section 9.1 "CSV format". Pure."""

from __future__ import annotations

import csv
from dataclasses import dataclass


@dataclass(frozen=True)
class Totals:
    """The requests of a backend since its worker's start; none where it has no such backend.

    :ivar begun: all of them, those under way among them.
    """

    begun: int = 0
    under_way: int = 0


def parse_totals(text: str) -> Totals:
    """The answer to ``show stat`` about a backend."""
    if not text.startswith("#"):
        return Totals()
    rows = [row for row in _rows(text) if row.get("svname") == "BACKEND"]
    return Totals(sum(int(row["stot"]) for row in rows), sum(int(row["scur"]) for row in rows))


def parse_finished(text: str) -> bool:
    """The answer to ``show stat`` about frontends: whether none is open, and no client is connected."""
    return not any(row["status"] == "OPEN" or int(row["scur"]) for row in _rows(text))


def _rows(text: str) -> csv.DictReader[str]:
    return csv.DictReader(text.removeprefix("# ").splitlines())

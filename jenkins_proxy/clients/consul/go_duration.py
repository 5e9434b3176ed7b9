"""Go's way to write durations, which Consul speaks: ``10s``, ``1m30s``, ``1.5h``, ``300ms``."""

from __future__ import annotations

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63 / 1e9  # Go counts nanoseconds in 64 bits: 292 years
_WHOLE = re.compile(rf"[-+]?({_PART.pattern})+")


def parse(text: str) -> float:
    """Seconds, as Go's ``time.ParseDuration`` reads them.

    :raises ValueError: for what is no duration, and for one beyond 292 years; a number without a unit is none, but
        for ``0``.
    """
    if text == "0":
        return 0.0
    good = _WHOLE.fullmatch(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)) if good else 0.0
    if not good or seconds >= _LONGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return -seconds if text.startswith("-") else seconds


def text(seconds: float) -> str:
    """A duration that Go reads, to the millisecond."""
    return f"{round(seconds * 1000)}ms"

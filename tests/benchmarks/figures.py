"""What the benchmarks share: percentiles, and one form of printing a figure beside its limit."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of them lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def spread(seconds: Sequence[float]) -> str:
    """``p50 2.81  p95 3.40  p99 4.92 ms``."""
    shown = (f"p{p} {percentile(seconds, p) * 1000:.2f}" for p in (50, 95, 99))
    return "  ".join(shown) + " ms"


def against(name: str, ours: Sequence[float], limit_name: str, limit: Sequence[float], goal: str) -> None:
    """Print both, and the ratio of their medians."""
    ratio = statistics.median(ours) / statistics.median(limit)
    print(f"{name}\n  ours   {spread(ours)}\n  limit  {spread(limit)}  ({limit_name})")
    print(f"  ratio  {ratio:.2f}  (goal {goal}; {len(ours)} samples)\n", flush=True)

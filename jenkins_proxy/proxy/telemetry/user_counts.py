"""How many requests users made of a service, how many failed, and how long they took. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from jenkins_proxy.proxy.haproxy.ring import Request

_GROWTH = 1.1
"""A class of durations ends where it began times this: its geometric middle is off by 4.9 % at the most."""
_CLASSES = 200  # the last one begins at 48 hours
_MOST = 2**53


@dataclass(frozen=True)
class Counts:
    """The requests of users of one service, without those of a deploy itself.

    :ivar failed: of these, how many the service or the proxy failed: see :func:`failed`.
    :ivar histogram: how many took how long, by :func:`duration_class`.
    :ivar exact: False where more may have been made: the counts are "at least" then.
    """

    requests: int = 0
    failed: int = 0
    histogram: Mapping[int, int] = field(default_factory=dict)
    exact: bool = True

    @property
    def p99_ms(self) -> float | None:
        """Milliseconds within which 99 of 100 requests ended, 5 % off at the most; None without a request."""
        rank = math.ceil(0.99 * sum(self.histogram.values()))
        below = 0
        for number in sorted(self.histogram):
            below += self.histogram[number]
            if below >= rank:
                return class_middle(number)
        return None

    def __add__(self, other: Counts) -> Counts:
        """Those of both, as of two proxies."""
        classes = dict(self.histogram)
        for number, many in other.histogram.items():
            classes[number] = classes.get(number, 0) + many
        return Counts(
            self.requests + other.requests, self.failed + other.failed, classes, exact=self.exact and other.exact
        )

    def __str__(self) -> str:
        about = "" if self.exact else "at least "
        p99 = "" if self.p99_ms is None else f", p99 {self.p99_ms:.0f} ms"
        return f"{about}{self.requests:,} requests, {self.failed:,} failed{p99}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON, to be summed by another proxy."""
        return {
            "requests": self.requests,
            "failed": self.failed,
            "histogram": {str(number): many for number, many in sorted(self.histogram.items())},
            "exact": self.exact,
        }

    def summary(self) -> dict[str, Any]:
        """As JSON, to be read."""
        return {"requests": self.requests, "failed": self.failed, "p99_ms": self.p99_ms, "exact": self.exact}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`as_dict`.

        :raises ValueError: when it is no such thing; KeyError, TypeError and AttributeError likewise.
        """
        histogram = {_whole(int(number), _CLASSES): _whole(many) for number, many in data["histogram"].items()}
        return cls(_whole(data["requests"]), _whole(data["failed"]), histogram, bool(data["exact"]))


@dataclass(frozen=True)
class PublishedCount:
    """What one proxy says of a count.

    :ivar ended: whether nothing more will come.
    """

    counts: Counts
    ended: bool

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"ended": self.ended, **self.counts.as_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`as_dict`; raises what :meth:`Counts.from_dict` raises."""
        return cls(Counts.from_dict(data), bool(data["ended"]))


def _whole(value: Any, most: int = _MOST) -> int:
    """:raises ValueError: for what is no number of requests: what is counted with it would be none either."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"a whole number from 0 to {most} is expected")
    return value


def total(counts: Iterable[Counts]) -> Counts:
    """The sum."""
    return sum(counts, Counts())


def duration_class(milliseconds: int) -> int:
    """The number of the class that a duration belongs to: 0 for what took less than a millisecond."""
    if milliseconds < 1:
        return 0
    return min(1 + int(math.log(milliseconds, _GROWTH) + 1e-9), _CLASSES)


def class_middle(number: int) -> float:
    """The milliseconds that stand for a class."""
    return round(_GROWTH ** (number - 0.5), 1) if number else 0.0


def failed(request: Request) -> bool:
    """Whether a request failed by the fault of the service or of the proxy.

    The first letter of the termination state says who ended it (configuration manual 2.6, section 8.5): the client is
    ``C`` or ``c``, and ``K`` is a stream that a drain cut. ``P`` with a status of 400 and something is a request that
    the proxy could not accept.
    """
    by = request.termination[:1]
    if by in ("C", "c"):
        return False
    if request.status >= 500 or by in tuple("SsRID"):
        return True
    return by == "P" and not 400 <= request.status < 500

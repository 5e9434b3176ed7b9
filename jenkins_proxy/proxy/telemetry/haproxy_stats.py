"""HAProxy's counters for each service, from ``show stat``: management guide, section 9.1 "CSV format"."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy.names import backend_name
from jenkins_proxy.proxy.timing import DEFAULT, Timing

COMMAND = "show stat -1 2 -1"
"""All proxies, but only their backend rows: two thousand servers would be megabytes that nobody reads."""

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


@dataclass(frozen=True)
class Traffic:
    """What went to a service since HAProxy's last reload.

    :ivar rate: requests in the last second.
    :ivar sessions: requests under way.
    :ivar queued: requests that wait for a server.
    :ivar answers: how many, by class: ``2xx`` …
    :ivar errors: requests without a good connection or answer from a server.
    :ivar retries: connections tried again.
    """

    rate: int = 0
    sessions: int = 0
    queued: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    errors: int = 0
    retries: int = 0


class TrafficReader:
    """HAProxy's counters, asked for once a second at most, however many callers look at them.

    :param ask: sends commands to HAProxy's Runtime API and gives their answers.
    :param clock: seconds that never run backwards.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[Sequence[str]]],
        clock: Callable[[], float] = time.monotonic,
        timing: Timing = DEFAULT,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._max_age = timing.traffic_max_age
        self._read_at = float("-inf")
        self._latest: dict[str, Traffic] = {}
        self._lock = asyncio.Lock()

    async def read(self) -> Mapping[str, Traffic]:
        """By service; empty while HAProxy does not answer."""
        async with self._lock:
            if self._clock() - self._read_at >= self._max_age:
                try:
                    (text,) = await self._ask(COMMAND)
                    # In a thread: of thousands of services the loop has instances to bring into rotation meanwhile.
                    self._latest = await asyncio.to_thread(parse, text)
                except ProxyError:
                    self._latest = {}
                self._read_at = self._clock()
            return self._latest


def parse(text: str) -> dict[str, Traffic]:
    """The answer to :data:`COMMAND`, by service.

    :param text: CSV; its header line begins with ``# ``.
    """
    # Not a DictReader: of some ninety columns only thirteen matter, in thousands of rows.
    header, *rows = csv.reader(text.splitlines() or ["# pxname,svname"])
    column = {name.removeprefix("# "): at for at, name in enumerate(header)}
    suffix = backend_name("")
    return {
        row[0].removesuffix(suffix): _traffic(row, column)
        for row in rows
        if len(row) == len(header) and row[1] == "BACKEND" and row[0].endswith(suffix)
    }


def _traffic(row: Sequence[str], column: Mapping[str, int]) -> Traffic:
    def number(name: str) -> int:
        # A field that does not apply is empty.
        return int(row[column[name]] or 0) if name in column else 0

    return Traffic(
        rate=number("rate"),
        sessions=number("scur"),
        queued=number("qcur"),
        answers={name: number(f"hrsp_{name}") for name in _CLASSES},
        errors=number("econ") + number("eresp"),
        retries=number("wretr"),
    )

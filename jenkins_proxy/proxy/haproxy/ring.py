"""The ring into which HAProxy logs the requests of counted services, and the map that says which services these are.

HAProxy logs nothing of a request whose backend is not in the map: ``set-log-level silent``. The map gives each backend
a token, which stands in the line, so that the lines of an earlier count of the same service are not taken for others.
Management guide 2.6, section 9.3 "show events", "add map"; configuration manual, section 3.8 "Rings".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from jenkins_proxy.proxy.haproxy.entry.access_log import counted_words

RING = "users"
COUNTED_MAP = "counted.map"
LOG_FORMAT = "%[var(txn.counted)] %[var(txn.server)] %[var(txn.probe)] %ST %ts %Ta"

_NONE = "-"
_DROPPED = re.compile(r"^\d+ events? dropped$")


@dataclass(frozen=True)
class Request:
    """A request that has ended.

    :ivar token: of the count that it belongs to.
    :ivar keyed: whether it is a deploy's own: it bore the key of a candidate, or that of the probe.
    :ivar status: of the answer; -1 where there was none.
    :ivar termination: who ended it and when, by HAProxy's two letters; ``--`` is a good end.
    :ivar milliseconds: from its first byte to the last one of its answer.
    """

    token: str
    keyed: bool
    status: int
    termination: str
    milliseconds: int


def parse_line(line: str) -> Request | None:
    """A line in :data:`LOG_FORMAT`, or of the access log, which has the same; None for any other, and for a request
    that belongs to no count."""
    words = counted_words(line)
    if len(words) != 6 or words[0] == _NONE:
        return None
    token, server, probe, status, termination, milliseconds = words
    try:
        keyed = server != _NONE or probe != _NONE
        return Request(token, keyed, int(status), termination, int(milliseconds))
    except ValueError:
        return None


def is_loss(line: str) -> bool:
    """Whether HAProxy says that lines are missing here: the ring was full, as its reader was late (``src/sink.c``)."""
    return _DROPPED.match(line) is not None


def counted_text(tokens: Mapping[str, str]) -> str:
    """The map's file.

    :param tokens: by backend.
    """
    return "".join(f"{backend} {token}\n" for backend, token in sorted(tokens.items()))


def parse_counted(text: str) -> Iterator[tuple[str, str]]:
    """Backends and their tokens, from the answer to ``show map``: ``<pointer> <key> <value>``."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            yield words[1], words[2]


def parse_pid(text: str) -> int:
    """The worker's process ID from the answer to ``show info``.

    :raises EOFError: when there is none.
    """
    for line in text.splitlines():
        name, _, value = line.removeprefix("> ").partition(": ")
        if name == "Pid" and value.isdigit():
            return int(value)
    raise EOFError("it does not say its process ID")


class Events:
    """The lines of a worker's ring, old ones and those to come.

    :ivar pid: the worker's process ID.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._reader = reader
        self._writer = writer

    def close(self) -> None:
        """The lines end. Until then the worker lives, also when it has nothing else to do."""
        self._writer.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            async for line in self._reader:
                yield line.decode(errors="replace").strip()
        except OSError:
            return
        finally:
            self.close()

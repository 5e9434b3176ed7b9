"""Parses what HAProxy writes for people: log lines, reasons, its version. Pure but for the log that follows it."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.backend import ServerState
from jenkins_proxy.proxy.haproxy.config.render import DESCRIPTION
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog
from jenkins_proxy.proxy.haproxy.names import NO_ROUTE

_KEPT = 500
_STDOUT = "/proc/self/fd/1"
# `[ALERT]    (1234) : config : parsing [haproxy.cfg:6] : …`
_ALERT = re.compile(r"\[ALERT\]\s+(?:\S+\s+)?\(\d+\)\s*:\s*(?:config\s*:\s*)?(.*)")
# These say only that something was wrong.
_EMPTY = re.compile(r"(Error\(s\) found in|Fatal errors found in|Some protocols failed|\[haproxy\.main\(\)\])")
_VERSION = re.compile(r"version (\d+)\.(\d+)")


def reason(lines: Iterable[str]) -> str:
    """The first alert that says what is wrong, in one line; else the last line of all."""
    seen = [line.strip() for line in lines if line.strip()]
    alerts = [match[1] for match in map(_ALERT.match, seen) if match and match[1] and not _EMPTY.search(match[1])]
    text = alerts[0] if alerts else (seen[-1] if seen else "it said nothing")
    return " ".join(text.split()).rstrip(".")


def program_version(text: str) -> tuple[int, ...]:
    """``(2, 6)`` from the answer to ``haproxy -v``; empty when it is not there."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else ()


def version(config: str) -> int:
    """The version in a configuration that the daemon wrote; 0 when there is none."""
    match = re.search(rf"^\s*description {DESCRIPTION} (\d+)$", config, re.MULTILINE)
    return int(match[1]) if match else 0


def servers(config: str) -> dict[str, dict[Address, ServerState]]:
    """The servers in a configuration that the daemon wrote and their states, by backend."""
    servers: dict[str, dict[Address, ServerState]] = {}
    backend = ""
    for line in config.splitlines():
        words = line.split()
        if words[:1] == ["backend"]:
            backend = words[1]
            if backend != NO_ROUTE:
                servers[backend] = {}
        elif words[:1] == ["server"] and backend:
            host, _, port = words[1].rpartition(":")
            state = ServerState.CANDIDATE if words[3:5] == ["weight", "0"] else ServerState.SERVING
            servers[backend][Address(host, int(port))] = state
    return servers


def log_file(log: AccessLog | None) -> str:
    """The path of the file that the access log goes to, be it our own stdout; empty where it goes to none."""
    if log is None or log.syslog:
        return ""
    return log.file or (_STDOUT if stat.S_ISREG(os.fstat(1).st_mode) else "")


@contextlib.contextmanager
def stdout(log: AccessLog | None) -> Iterator[BinaryIO | None]:
    """Our own stdout, opened anew for HAProxy to write its access log to; None where it writes none there."""
    if log is None or log.syslog or log.file:
        yield None
        return
    # A descriptor of its own: HAProxy makes it one that never waits, which our own output must not become.
    try:
        file = open(_STDOUT, "ab", buffering=0)  # noqa: SIM115 - closed below, and not before it is handed on
    except OSError:
        # A socket cannot be opened again.
        file = os.fdopen(os.dup(1), "ab", buffering=0)
    with file:
        yield file


class Log:
    """The last lines that HAProxy wrote."""

    def __init__(self) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT)
        self._count = 0

    def mark(self) -> int:
        """The place where the log is now."""
        return self._count

    def reason(self, mark: int) -> str:
        """Why something went wrong after a mark."""
        since = self._count - mark
        return reason(list(self._lines)[-since:] if since else [])

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Take lines until the stream ends."""
        async for line in stream:
            self._lines.append(line.decode(errors="replace").rstrip())
            self._count += 1

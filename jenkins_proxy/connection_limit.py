"""How many connections an HTTP server of ours has open, and how long one may take to ask for something.

Whoever only connects costs a descriptor: a thousand of them would leave none for the registry, for HAProxy's sockets
and for those who ask. So there is a limit below the process's own, at which the longest silent ones are closed first.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aiohttp import web

_LOG = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that the kernel keeps until they are taken."""

# Descriptors of the process that are not for its servers' connections, and what a process needs at the most.
_RESERVED = 256
# Taken in one step of the loop. What is refused gives its descriptor back some four steps later, and until then as many
# come in each: together they stay below what is reserved.
_AT_ONCE = 16
_ENOUGH = 65_536
_LOG_PAUSE = 60.0
_HEAD_END = b"\r\n\r\n"


def raise_limit() -> int:
    """Take as many descriptors as the process may have.

    :return: the limit from now on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def share(servers: int) -> int:
    """How many connections each of so many servers of this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _ENOUGH if soft == resource.RLIM_INFINITY else min(soft, _ENOUGH)
    return max((limit - _RESERVED) // servers, 16)


async def listen(
    runner: web.AppRunner, listener: socket.socket, limit: ConnectionLimit, *, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Serve on a socket that listens, within a limit.

    :return: what has to be closed before the runner is cleaned up.
    """
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    server = await asyncio.get_running_loop().create_server(
        limit.guard(runner.server),
        sock=listener,
        ssl=tls,
        ssl_handshake_timeout=limit.head_seconds if tls else None,
        # What asyncio takes in one step, too.
        backlog=_AT_ONCE,
    )
    listener.listen(BACKLOG)
    return server


class ConnectionLimit:
    """The connections of one server.

    :param name: of the server, for the log.
    :param most: connections that may be open; half of them from one address.
    :param head_seconds: within which a connection has sent its first request's head.
    """

    def __init__(self, name: str, most: int, *, head_seconds: float = 10.0) -> None:
        self._name, self._most, self.head_seconds = name, most, head_seconds
        self._open: collections.Counter[str] = collections.Counter()
        # Those that have asked for nothing yet, oldest first.
        self._silent: dict[_Guarded, None] = {}
        self._logged = -_LOG_PAUSE

    def guard(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """The same factory of protocols, within the limit."""
        return lambda: _Guarded(self, factory())

    def admit(self, connection: _Guarded, address: str) -> bool:
        """Whether a new connection may be; an old one that is silent makes room for it."""
        if self._open.total() >= self._most or self._open[address] >= max(self._most // 2, 1):
            self._log(address)
            full = self._open.total() >= self._most
            oldest = next((one for one in self._silent if full or one.address == address), None)
            if oldest is None:
                return False
            oldest.close()
        self._open[address] += 1
        self._silent[connection] = None
        return True

    def asked(self, connection: _Guarded) -> None:
        """It has sent a request's head."""
        self._silent.pop(connection, None)

    def gone(self, connection: _Guarded) -> None:
        """It is closed."""
        self._silent.pop(connection, None)
        self._open[connection.address] -= 1
        self._open += collections.Counter()  # without those that are 0

    def _log(self, address: str) -> None:
        if time.monotonic() - self._logged >= _LOG_PAUSE:
            self._logged = time.monotonic()
            _LOG.warning(
                "%s has %d connections, %d from %s: the oldest that ask for nothing are closed",
                self._name,
                self._open.total(),
                self._open[address],
                address or "a socket",
            )


class _Guarded(asyncio.Protocol):
    """One connection, between the event loop and the protocol that serves it."""

    def __init__(self, limit: ConnectionLimit, inner: asyncio.Protocol) -> None:
        self._limit, self._inner = limit, inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = b""
        self._admitted = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._limit.admit(self, self.address):
            self._transport.abort()
            return
        self._admitted = True
        self._timer = asyncio.get_running_loop().call_later(self._limit.head_seconds, self.close)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._timer:
            self._head = self._head[-len(_HEAD_END) :] + data
            if _HEAD_END in self._head:
                self._settle()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._settle()
            self._admitted = False
            self._limit.gone(self)
            self._inner.connection_lost(exc)

    def close(self) -> None:
        """End it without an answer."""
        if self._transport:
            self._transport.abort()
        self._settle()

    def _settle(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
            self._head = b""
            self._limit.asked(self)

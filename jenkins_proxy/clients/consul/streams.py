"""HTTP/2 connections to one registry: thousands of queries wait as streams of a few connections.

Consul serves 200 connections of one client address by default and counts no streams; it allows 250 on each connection.
It speaks HTTP/2 on its HTTPS port only (Consul 1.8.7, agent/agent.go, ``setupHTTPS``). Only GET goes this way: what has
a body is seldom, and would have to heed how much of it the registry takes.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from typing import Any

from yarl import URL

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.requests import TIMEOUT, Call, Reply
from jenkins_proxy.clients.consul.stream_connection import MOST, StreamConnection, UnheardError

_PROTOCOLS = ["h2", "http/1.1"]


class Streams:
    """All of one client.

    :param url: of the registry, ``https://…``.
    :param headers: of each request.
    :param tls: a context of its own, as it offers HTTP/2.
    :param limit: how many connections there are at the most; a call past their streams waits for one.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, tls: ssl.SSLContext, limit: int) -> None:
        self._url = URL(url)
        self._tls = tls
        self._tls.set_alpn_protocols(_PROTOCOLS)
        self._path = self._url.raw_path.rstrip("/")
        self._fields = [(name.lower(), value) for name, value in headers.items()]
        self._limit = limit
        self._open: set[StreamConnection] = set()
        self._connecting = asyncio.Lock()
        self._room = asyncio.Event()
        self._offered: bool | None = None
        self._streams = MOST
        self._closed = False

    async def offered(self) -> bool:
        """Whether the registry speaks HTTP/2, as it said when it was connected to first.

        :raises OSError, EOFError, TimeoutError: when it cannot be reached.
        """
        if self._offered is None:
            async with self._connecting:
                if self._offered is None:
                    await self._connect()
        return bool(self._offered)

    @property
    def capacity(self) -> int:
        """How many calls may be under way at once."""
        return self._limit * self._streams

    async def ask(self, call: Call[Any]) -> Reply:
        """Send a GET and give its answer.

        :raises OSError, EOFError, TimeoutError: when there is none. ValueError: when it is no HTTP/2, or too long.
        """
        for last in (False, True):
            connection = await self._with_room()
            answer = connection.send(self._head(call), call)
            try:
                return await answer.whole
            except UnheardError:
                # The registry may have closed the connection just when it was used.
                if last or self._closed:
                    raise
            finally:
                connection.forget(answer)
                self._room.set()
        raise AssertionError("the last time raises")

    def _head(self, call: Call[Any]) -> list[tuple[str, str]]:
        return [
            (":method", call.method),
            (":scheme", "https"),
            (":authority", self._url.authority),
            (":path", self._path + call.target),
            *self._fields,
        ]

    async def close(self) -> None:
        """Close them; calls under way fail."""
        self._closed = True
        for connection in tuple(self._open):
            connection.abort()
        while self._open:  # noqa: ASYNC110 - a moment, until the loop has told each
            await asyncio.sleep(0)

    async def _with_room(self) -> StreamConnection:
        while True:
            async with self._connecting:
                if connection := next((one for one in self._open if one.room), None):
                    return connection
                if len(self._open) < self._limit:
                    return await self._connect()
                self._room.clear()
            await self._room.wait()

    async def _connect(self) -> StreamConnection:
        loop = asyncio.get_running_loop()
        made = functools.partial(StreamConnection, loop, self._open, self._room)
        host, port = self._url.host or "", self._url.port or 443
        _transport, connection = await with_timeout(loop.create_connection(made, host, port, ssl=self._tls), TIMEOUT)
        if connection.protocol != "h2":
            connection.abort()
            if self._offered:
                raise ConnectionError("it spoke HTTP/2 before, and does not any more")
            self._offered = False
            return connection
        try:
            await with_timeout(connection.ready, TIMEOUT)
        except BaseException:
            connection.abort()
            raise
        self._streams = connection.most
        self._offered = True
        return connection

"""Kept-alive HTTP/1.1 connections to one registry, with as little as a query that waits needs.

There may be thousands of those: an HTTP library holds four times as much for each.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Mapping
from typing import Any, cast

from yarl import URL

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.answers import AnswerParser
from jenkins_proxy.clients.consul.requests import TIMEOUT, TRANSFER, Call, Reply

# A query may wait for minutes, and a cut link says nothing: after so many seconds without a sign it is over.
_SILENCE = 30


def notice_silence(transport: asyncio.BaseTransport) -> None:
    """Let the system end a connection whose other side is gone without a word."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE // 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENCE // 6)
    # Also of what was sent and never taken, for which nothing else asks; with it the number of questions is nothing.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE * 1000)


class Connections:
    """All of one client.

    :param url: of the registry.
    :param headers: of each request.
    :param tls: for an ``https://`` registry, else None.
    :param limit: how many there are at the most; a call past that waits for one.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, tls: ssl.SSLContext | None, limit: int) -> None:
        self._url = URL(url)
        self.tls = tls
        self._path = self._url.raw_path.rstrip("/")
        self._fields = "".join(
            f"{name}: {value}\r\n" for name, value in {"Host": self._url.authority, **headers}.items()
        )
        self.limit = limit
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def ask(self, call: Call[Any]) -> Reply:
        """Send a call and give its answer.

        :raises OSError, EOFError, TimeoutError: when there is none. ValueError: when it is no HTTP.
        """
        request = self.request(call.method, call.target, call.body)
        async with self._slots:
            while self._idle:
                connection = self._idle.pop()
                if not connection.lasts:
                    continue
                try:
                    return await self._converse(connection, request, call)
                except (EOFError, ConnectionError):
                    # The registry may have closed it just when it was used.
                    if connection.heard or call.method == "POST":
                        raise
            return await self._converse(await self._connect(), request, call)

    def request(self, method: str, target: str, body: bytes | None = None) -> bytes:
        """The bytes of a request."""
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        return f"{method} {self._path}{target} HTTP/1.1\r\n{self._fields}{length}\r\n".encode() + (body or b"")

    async def close(self) -> None:
        """Close them; calls under way fail."""
        for connection in tuple(self._open):
            connection.abort()
        while self._open:  # noqa: ASYNC110 - a moment, until the loop has told each
            await asyncio.sleep(0)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        made = functools.partial(_Connection, loop, self._open)
        host, port = self._url.host or "", self._url.port or 0
        _transport, connection = await with_timeout(loop.create_connection(made, host, port, ssl=self.tls), TIMEOUT)
        return connection

    async def _converse(self, connection: _Connection, request: bytes, call: Call[Any]) -> Reply:
        reply = await connection.ask(request, call)
        if connection.lasts:
            self._idle.append(connection)
        else:
            connection.abort()
        return reply


class _Connection(asyncio.Protocol):
    """One connection, and at the most one call under way.

    :param everyone: the set that it is in while it is open.
    :ivar heard: whether anything came for the last call.
    """

    __slots__ = ("_answer", "_everyone", "_loop", "_parser", "_timeout", "_transport", "heard")

    def __init__(self, loop: asyncio.AbstractEventLoop, everyone: set[_Connection]) -> None:
        self._loop = loop
        self._everyone = everyone
        self._transport: asyncio.Transport | None = None
        # One for all its answers: each is a cycle, which only the garbage collection ends.
        self._parser = AnswerParser()
        self._answer: asyncio.Future[Reply] | None = None
        self._timeout: asyncio.Timeout | None = None
        self.heard = False

    async def ask(self, request: bytes, call: Call[Any]) -> Reply:
        self.heard = False
        self._parser.max_bytes = call.max_bytes
        if self._transport is None:
            raise EOFError("closed without response")
        self._answer = self._loop.create_future()
        try:
            async with asyncio.timeout(call.timeout) as self._timeout:
                self._transport.write(request)
                return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = self._timeout = None

    @property
    def lasts(self) -> bool:
        """Whether it may be used again."""
        return self._transport is not None and self._parser.lasts

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._everyone.add(self)
        notice_silence(transport)

    def data_received(self, data: bytes) -> None:
        if not self._answer or self._answer.done():
            self.abort()  # nobody has asked
            return
        if not self.heard and self._timeout:
            self.heard = True
            self._timeout.reschedule(self._loop.time() + TRANSFER)
        try:
            for reply in self._parser.feed(data):
                self._answer.set_result(reply)
        except (ValueError, asyncio.InvalidStateError) as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._everyone.discard(self)
        if self._answer and not self._answer.done():
            try:
                if error:
                    raise error
                self._answer.set_result(self._parser.close())
            except Exception as failure:  # noqa: BLE001 - it is given on
                self._fail(failure)

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

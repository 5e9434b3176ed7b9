"""HTTP/2 connections to one registry: thousands of queries wait as streams of a few connections.

Consul serves 200 connections of one client address by default and counts no streams; it allows 250 on each connection.
It speaks HTTP/2 on its HTTPS port only (Consul 1.8.7, agent/http.go, ``setupHTTPS``). Only GET goes this way: what has
a body is seldom, and would have to heed how much of it the registry takes.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from yarl import URL

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.answers import TooLongError
from jenkins_proxy.clients.consul.connections import notice_silence
from jenkins_proxy.clients.consul.requests import TIMEOUT, TRANSFER, Call, Reply, parse_index

_PROTOCOLS = ["h2", "http/1.1"]
# Consul's own limit. More of them on one connection would only wait for each other's bytes.
_MOST = 250
# Bytes that may be under way before we say that we took some: of an answer, and of all answers of a connection.
_ANSWER_WINDOW = 2**18
_WINDOW = 2**24


class UnheardError(EOFError):
    """The connection or the stream ended before anything of the answer came."""


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
        self._open: set[_Connection] = set()
        self._connecting = asyncio.Lock()
        self._room = asyncio.Event()
        self._offered: bool | None = None
        self._streams = _MOST
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

    async def _with_room(self) -> _Connection:
        while True:
            async with self._connecting:
                if connection := next((one for one in self._open if one.room), None):
                    return connection
                if len(self._open) < self._limit:
                    return await self._connect()
                self._room.clear()
            await self._room.wait()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        made = functools.partial(_Connection, loop, self._open, self._room)
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


@dataclass(slots=True)
class _Answer:
    """Of one stream, as it comes.

    :ivar end: when it is too late for it, by the loop's clock.
    """

    stream: int
    whole: asyncio.Future[Reply]
    max_bytes: int
    end: float
    status: int = 0
    index: int = 0
    size: int = 0
    parts: list[bytes] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """One connection.

    :param everyone: the set that it is in while it is open.
    :param left: set when it is in it no more.
    :ivar protocol: what was agreed on. :ivar ready: done when the registry has said what it allows.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, everyone: set[_Connection], left: asyncio.Event) -> None:
        self._loop = loop
        self._everyone = everyone
        self._left = left
        self._transport: asyncio.Transport | None = None
        self._http = H2Connection(H2Configuration(header_encoding=None))
        self._answers: dict[int, _Answer] = {}
        self._ends = False
        self._timer: asyncio.TimerHandle | None = None
        self.protocol = ""
        self.ready: asyncio.Future[None] = loop.create_future()

    @property
    def most(self) -> int:
        """How many calls may be under way at once."""
        return min(self._http.remote_settings.max_concurrent_streams, _MOST)

    @property
    def room(self) -> bool:
        """Whether one more call may be sent."""
        return self._transport is not None and not self._ends and len(self._answers) < self.most

    def send(self, head: list[tuple[str, str]], call: Call[Any]) -> _Answer:
        """Send a call.

        :return: its answer, which the caller waits for and then forgets.
        """
        end = self._loop.time() + call.timeout
        answer = _Answer(0, self._loop.create_future(), call.max_bytes, end)
        if not self.room:
            self._fail(answer, None)
            return answer
        try:
            answer.stream = self._http.get_next_available_stream_id()
            self._http.send_headers(answer.stream, head, end_stream=True)
        except H2Error as error:
            self._ends = True  # after a thousand million of them
            self._fail(answer, ConnectionError(str(error)))
            return answer
        self._answers[answer.stream] = answer
        self._send()
        if self._timer is None or end < self._timer.when():
            self._check_time()
        return answer

    def forget(self, answer: _Answer) -> None:
        """Nobody waits for it any more."""
        if self._answers.pop(answer.stream, None) and answer.whole.cancelled():
            self._reset(answer.stream)
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        """One that takes no more calls need not be open once it has none."""
        if self._ends and not self._answers:
            self.abort()

    def _check_time(self) -> None:
        """One timer for all answers: each of thousands would take as much as its answer."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        late = [answer for answer in self._answers.values() if answer.end <= now]
        for answer in late:
            self._fail(answer, TimeoutError())
        if late:
            self.abort()  # nor will it answer the others
        elif self._answers:
            self._timer = self._loop.call_at(min(answer.end for answer in self._answers.values()), self._check_time)

    def abort(self) -> None:
        self._ends = True
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._everyone.add(self)
        notice_silence(transport)
        self.protocol = transport.get_extra_info("ssl_object").selected_alpn_protocol() or ""
        if self.protocol == "h2":
            self._http.local_settings = Settings(
                initial_values={SettingCodes.INITIAL_WINDOW_SIZE: _ANSWER_WINDOW, SettingCodes.ENABLE_PUSH: 0}
            )
            self._http.initiate_connection()
            self._http.increment_flow_control_window(_WINDOW)
            self._send()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http.receive_data(data):
                self._take(event)
            self._send()
        except H2Error as error:
            self._fail_all(ValueError(f"an answer that is no HTTP/2: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._everyone.discard(self)
        self._left.set()
        if self._timer:
            self._timer.cancel()
        self._fail_all(error)

    def _take(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            # Also of a stream that was given up.
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, ConnectionTerminated):
            self._take_no_more(event.last_stream_id or 0)
        elif isinstance(event, RemoteSettingsChanged):
            if not self.ready.done():
                self.ready.set_result(None)
        elif isinstance(event, ResponseReceived | DataReceived | StreamEnded | StreamReset) and (
            answer := self._answers.get(event.stream_id)
        ):
            self._take_part(answer, event)

    def _take_no_more(self, last: int) -> None:
        """The registry ends the connection, after the answers of the streams up to the last one."""
        self._ends = True
        for stream, answer in self._answers.items():
            if stream > last:
                self._fail(answer, None)
        self._end_when_idle()

    def _take_part(self, answer: _Answer, event: ResponseReceived | DataReceived | StreamEnded | StreamReset) -> None:
        match event:
            case ResponseReceived():
                self._begin(answer, dict(event.headers))
            case DataReceived():
                self._add(event.stream_id, answer, event.data)
            case StreamReset():
                self._fail(answer, None)
            case StreamEnded() if not answer.whole.done():
                answer.whole.set_result(Reply(answer.status, b"".join(answer.parts), answer.index))

    def _begin(self, answer: _Answer, fields: Mapping[bytes, bytes]) -> None:
        answer.status = int(fields[b":status"])
        answer.index = parse_index(fields.get(b"x-consul-index", b"").decode("latin-1"))
        answer.end = self._loop.time() + TRANSFER

    def _add(self, stream: int, answer: _Answer, data: bytes) -> None:
        answer.size += len(data)
        if answer.size > answer.max_bytes:
            self._reset(stream)
            self._fail(answer, TooLongError("an answer that is too long"))
        else:
            answer.parts.append(data)

    def _reset(self, stream: int) -> None:
        try:
            self._http.reset_stream(stream, ErrorCodes.CANCEL)
        except H2Error:
            return  # it has ended meanwhile
        self._send()

    def _send(self) -> None:
        if self._transport:
            self._transport.write(self._http.data_to_send())

    def _fail_all(self, error: Exception | None) -> None:
        self._fail_future(self.ready, error or EOFError("closed without response"))
        for answer in self._answers.values():
            self._fail(answer, error)

    def _fail(self, answer: _Answer, error: Exception | None) -> None:
        if error is None or isinstance(error, ConnectionError):
            kind = EOFError if answer.status else UnheardError
            error = kind(str(error or "closed without response"))
        self._fail_future(answer.whole, error)

    @staticmethod
    def _fail_future(future: asyncio.Future[Any], error: Exception) -> None:
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever waited for it may be gone

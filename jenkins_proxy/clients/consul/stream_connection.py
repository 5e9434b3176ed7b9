"""One HTTP/2 connection to the registry, whose calls are its streams."""

from __future__ import annotations

import asyncio
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

from jenkins_proxy.clients.consul.answers import TooLongError
from jenkins_proxy.clients.consul.connections import notice_silence
from jenkins_proxy.clients.consul.requests import TRANSFER, Call, Reply, parse_index

MOST = 250
"""Streams of one connection at the most: Consul's own limit. More would only wait for each other's bytes."""

# Bytes that may be under way before we say that we took some: of an answer, and of all answers of a connection.
_ANSWER_WINDOW = 2**18
_WINDOW = 2**24


class UnheardError(EOFError):
    """The connection or the stream ended before anything of the answer came."""


@dataclass(slots=True)
class Answer:
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


class StreamConnection(asyncio.Protocol):
    """One connection.

    :param everyone: the set that it is in while it is open.
    :param left: set when it is in it no more.
    :ivar protocol: what was agreed on. :ivar ready: done when the registry has said what it allows.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, everyone: set[StreamConnection], left: asyncio.Event) -> None:
        self._loop = loop
        self._everyone = everyone
        self._left = left
        self._transport: asyncio.Transport | None = None
        self._http = H2Connection(H2Configuration(header_encoding=None))
        self._answers: dict[int, Answer] = {}
        self._ends = False
        self._timer: asyncio.TimerHandle | None = None
        self.protocol = ""
        self.ready: asyncio.Future[None] = loop.create_future()

    @property
    def most(self) -> int:
        """How many calls may be under way at once."""
        return min(self._http.remote_settings.max_concurrent_streams, MOST)

    @property
    def room(self) -> bool:
        """Whether one more call may be sent."""
        return self._transport is not None and not self._ends and len(self._answers) < self.most

    def send(self, head: list[tuple[str, str]], call: Call[Any]) -> Answer:
        """Send a call.

        :return: its answer, which the caller waits for and then forgets.
        """
        end = self._loop.time() + call.timeout
        answer = Answer(0, self._loop.create_future(), call.max_bytes, end)
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

    def forget(self, answer: Answer) -> None:
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

    def _take_part(self, answer: Answer, event: ResponseReceived | DataReceived | StreamEnded | StreamReset) -> None:
        match event:
            case ResponseReceived():
                self._begin(answer, dict(event.headers))
            case DataReceived():
                self._add(event.stream_id, answer, event.data)
            case StreamReset():
                self._fail(answer, None)
            case StreamEnded() if not answer.whole.done():
                answer.whole.set_result(Reply(answer.status, b"".join(answer.parts), answer.index))

    def _begin(self, answer: Answer, fields: Mapping[bytes, bytes]) -> None:
        answer.status = int(fields[b":status"])
        answer.index = parse_index(fields.get(b"x-consul-index", b"").decode("latin-1"))
        answer.end = self._loop.time() + TRANSFER

    def _add(self, stream: int, answer: Answer, data: bytes) -> None:
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

    def _fail(self, answer: Answer, error: Exception | None) -> None:
        if error is None or isinstance(error, ConnectionError):
            kind = EOFError if answer.status else UnheardError
            error = kind(str(error or "closed without response"))
        self._fail_future(answer.whole, error)

    @staticmethod
    def _fail_future(future: asyncio.Future[Any], error: Exception) -> None:
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever waited for it may be gone

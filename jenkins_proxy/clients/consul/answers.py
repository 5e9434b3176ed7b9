"""The answers of one HTTP/1.1 connection, read as they arrive. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import httptools

from jenkins_proxy.clients.consul.requests import MAX_ANSWER, Reply, parse_index

_MAX_HEAD = 2**16
_FINAL = 200


class TooLongError(ValueError):
    """An answer has more bytes than it may have."""


class AnswerParser:
    """Reads one answer after the other.

    :param max_bytes: of a body.
    :ivar max_bytes: the same, for the next answer.
    :ivar lasts: whether the connection may be used again after the last answer, and no other has begun.
    """

    __slots__ = ("_ends", "_head", "_http", "_index", "_parts", "_replies", "_size", "_status", "lasts", "max_bytes")

    def __init__(self, max_bytes: int = MAX_ANSWER) -> None:
        self.max_bytes = max_bytes
        self.lasts = False
        self._http = httptools.HttpResponseParser(self)
        self._replies: list[Reply] = []
        # Since the last part of a body: heads, and what is around chunks, which httptools does not bound.
        self._head = 0
        # Of the answer that has begun: the status once its head is whole, and whether it ends before its connection.
        self._status = self._index = self._size = 0
        self._ends = False
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Reply]:
        """What came, in any parts; gives the answers that are whole with it.

        :raises TooLongError: for more than an answer may have. ValueError: for what is no HTTP.
        """
        self._head += len(data)
        failure: Exception | None = None
        try:
            self._http.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            failure = cause if isinstance(cause, TooLongError) else ValueError(f"an answer that is no HTTP: {error}")
        replies, self._replies = self._replies, []
        yield from replies
        if failure:
            raise failure
        if self._head > _MAX_HEAD:
            raise TooLongError("a head that is too long")

    def close(self) -> Reply:
        """The connection has ended.

        :return: the answer that has no other end than that.
        :raises EOFError: when there is none.
        """
        # httptools cannot be told of it.
        if not self._status or self._ends:
            raise EOFError("closed without response")
        return self._reply()

    def on_message_begin(self) -> None:
        """httptools has read the first byte of an answer."""
        self.lasts = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools has read a field, of a head or after the last chunk."""
        name = name.lower()
        if name == b"content-length":
            self._ends = True
            self._bound(int(value))
        elif name == b"transfer-encoding":
            self._ends = True
        elif name == b"x-consul-index" and not self._status:
            self._index = parse_index(value.strip().decode("latin-1"))

    def on_headers_complete(self) -> None:
        """httptools has read a head."""
        self._status = self._http.get_status_code()

    def on_body(self, part: bytes) -> None:
        """httptools has read a part of a body."""
        self._head = 0
        self._size += len(part)
        self._bound(self._size)
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """httptools has read an answer; those with a status below 200 announce another."""
        reply = self._reply()
        if reply.status >= _FINAL:
            self.lasts = self._http.should_keep_alive()
            self._head = 0
            self._replies.append(reply)

    def _bound(self, size: int) -> None:
        if size > self.max_bytes:
            raise TooLongError("an answer that is too long")

    def _reply(self) -> Reply:
        reply = Reply(self._status, b"".join(self._parts), self._index)
        self._status = self._index = self._size = 0
        self._ends = False
        self._parts.clear()
        return reply

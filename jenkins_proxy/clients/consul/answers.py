"""The answers of one HTTP/1.1 connection, read as they arrive. Pure.

Of thousands of heads a few fields are wanted: a library's parser reads them all, and holds kilobytes for each
connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from jenkins_proxy.clients.consul.requests import MAX_ANSWER, Reply

_MAX_HEAD = 2**16
_UNTIL_CLOSED = -1
_FINAL = 200
_INDEX_DIGITS = 20


class TooLongError(ValueError):
    """An answer has more bytes than it may have."""


class AnswerParser:
    """Reads one answer after the other.

    :param max_bytes: of a body.
    :ivar lasts: whether the connection may be used again after the last answer.
    """

    __slots__ = ("_at", "_chunked", "_data", "_index", "_left", "_max_bytes", "_parts", "_room", "_status", "lasts")

    def __init__(self, max_bytes: int = MAX_ANSWER) -> None:
        self._max_bytes = max_bytes
        self._data = b""
        self._at = 0
        # Of the answer that has begun, which has a status: what is left of its body or chunk, and what may come at all.
        self._status = self._index = self._left = self._room = 0
        self._chunked = False
        self._parts: list[bytes] = []
        self.lasts = False

    def feed(self, data: bytes) -> Iterator[Reply]:
        """What came, in any parts; gives the answers that are whole with it.

        :raises TooLongError: for more than an answer may have. ValueError, IndexError: for what is no HTTP.
        """
        self._data = self._data[self._at :] + data
        self._at = 0
        while self._has_head() and self._has_body():
            yield self._reply()
        if len(self._data) - self._at > _MAX_HEAD:
            raise TooLongError("a head that is too long")

    def close(self) -> Reply:
        """The connection has ended.

        :return: the answer that has no other end than that.
        :raises EOFError: when there is none.
        """
        if not self._status or self._left != _UNTIL_CLOSED:
            raise EOFError("closed without response")
        return self._reply()

    def _has_head(self) -> bool:
        """Take the head of the next answer, unless it has begun."""
        while not self._status:
            end = self._data.find(b"\r\n\r\n", self._at)
            if end < 0:
                return False
            head = self._data[self._at : end].lower()
            self._at = end + 4
            protocol, status = head.partition(b"\r\n")[0].split(b" ", 2)[:2]
            if not protocol.startswith(b"http/1."):
                raise ValueError("an answer that is no HTTP")
            if int(status) >= _FINAL:
                self._begin(protocol, int(status), head)
        return True

    def _begin(self, protocol: bytes, status: int, head: bytes) -> None:
        index = _field(head, b"x-consul-index")
        length = _field(head, b"content-length")
        self._status = status
        self._index = int(index) if index.isdigit() and len(index) <= _INDEX_DIGITS else 0
        self._room = self._max_bytes
        self._chunked = _field(head, b"transfer-encoding") == b"chunked"
        self._left = 0 if self._chunked else self._bounded(int(length)) if length else _UNTIL_CLOSED
        self.lasts = protocol != b"http/1.0" and _field(head, b"connection") != b"close" and self._left >= 0

    def _has_body(self) -> bool:
        """Take what there is of the body."""
        if self._chunked:
            return self._has_chunks()
        if self._left == _UNTIL_CLOSED:
            self._parts.append(self._take(self._bounded(len(self._data) - self._at)))
            return False
        part = self._take(self._left)
        self._parts.append(part)
        self._left -= len(part)
        return not self._left

    def _has_chunks(self) -> bool:
        while True:
            if not self._left:
                end = self._data.find(b"\r\n", self._at)
                if end < 0:
                    return False
                size = int(self._data[self._at : end].partition(b";")[0], 16)
                if not size:
                    last = self._data.find(b"\r\n\r\n", end)
                    self._at = last + 4 if last >= 0 else self._at
                    return last >= 0
                self._at = end + 2
                self._left = self._bounded(size) + 2
            # The last two bytes end the line.
            part = self._take(self._left)
            self._left -= len(part)
            self._parts.append(part[: len(part) + min(self._left - 2, 0)])
            if self._left:
                return False

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part

    def _bounded(self, size: int) -> int:
        if not 0 <= size <= self._room:
            raise TooLongError("an answer that is too long")
        self._room -= size
        return size

    def _reply(self) -> Reply:
        reply = Reply(self._status, b"".join(self._parts), self._index)
        self._status = self._left = 0
        self._parts.clear()
        return reply


def _field(head: bytes, name: bytes) -> bytes:
    """A field of a head in lower-case letters; empty when it is not there."""
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()

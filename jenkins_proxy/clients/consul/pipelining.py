"""Many small requests to the registry at once, pipelined: all are sent before the first is answered.

A thousand answers take 30 to 60 ms so, and half a second when each is waited for. HTTP/1.1 has it (RFC 9112, section
9.3.2); of the HTTP libraries for asyncio none does it.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from yarl import URL

from jenkins_proxy.clients.consul.requests import Reply

OnReply = Callable[[int, Reply], None]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_MAX_HEAD = 2**16
_MAX_BODY = 2**20
_CHUNK = 2**18


async def ask(
    url: str,
    targets: Sequence[str],
    on_reply: OnReply,
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
    connections: int = 2,
) -> None:
    """GET each target.

    :param targets: path and query, quoted.
    :param on_reply: called with the number of a target, from 0, and its answer, as soon as it is there.
    :param connections: how many are opened for it, and closed again.
    :raises OSError: when nobody answers. EOFError: when the connection ends without one more answer. ValueError: when
        what comes is no HTTP.
    """
    where = URL(url)
    secure = (tls or ssl.create_default_context()) if where.scheme == "https" else None
    connect = functools.partial(asyncio.open_connection, where.host, where.port, ssl=secure)
    fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": where.authority, **headers}.items())
    path = where.raw_path.rstrip("/")
    requests = [f"GET {path}{target} HTTP/1.1\r\n{fields}\r\n".encode() for target in targets]
    shares = [deque(range(first, len(targets), connections)) for first in range(connections)]
    await asyncio.gather(*(_share(connect, requests, share, on_reply) for share in shares))


async def _share(connect: Connect, requests: Sequence[bytes], rest: deque[int], on_reply: OnReply) -> None:
    # A server may close after any answer: the rest is asked again.
    while rest:
        before = len(rest)
        try:
            await _converse(connect, requests, rest, on_reply)
        except (EOFError, OSError):
            if len(rest) == before:
                raise


async def _converse(connect: Connect, requests: Sequence[bytes], rest: deque[int], on_reply: OnReply) -> None:
    """Send the rest over one connection, and take each off it that is answered."""
    reader, writer = await connect()
    try:
        # Not waited for: the answers have to be read meanwhile, or both sides would stand with full buffers.
        writer.write(b"".join(requests[number] for number in rest))
        answers = Answers()
        while rest:
            data = await reader.read(_CHUNK)
            if not data:
                raise EOFError("closed before the last answer")
            for reply in answers.feed(data):
                on_reply(rest.popleft(), reply)
    finally:
        writer.close()


class Answers:
    """The answers of one connection, read by hand as they arrive.

    Three fields of thousands of heads are wanted: a parser reads them all, and a stream takes its time for each part.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """What came, in any parts; gives the answers that are whole with it.

        :raises ValueError: for what is no HTTP, or too long. IndexError: for what is no HTTP.
        """
        data = self._rest + data
        at = 0
        while found := _answer(data, at):
            reply, at = found
            yield reply
        self._rest = data[at:]


def _answer(data: bytes, at: int) -> tuple[Reply, int] | None:
    """The answer that begins there, and where the next one does; None while some of it is missing."""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        _bounded(len(data) - at, _MAX_HEAD)
        return None
    head = data[at:end].lower()
    if _field(head, b"transfer-encoding") == b"chunked":
        found = _chunks(data, end + 4)
    else:
        found = _bytes(data, end + 4, _bounded(int(_field(head, b"content-length")), _MAX_BODY))
    if found is None:
        return None
    body, after = found
    return Reply(int(head.split(b" ", 2)[1]), body, int(_field(head, b"x-consul-index") or 0)), after


def _field(head: bytes, name: bytes) -> bytes:
    """A field of a head in lower-case letters; empty when it is not there."""
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()


def _bounded(size: int, most: int) -> int:
    """:raises ValueError: for more than an answer to such a request has."""
    if not 0 <= size <= most:
        raise ValueError("an answer that is too long")
    return size


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int] | None:
    return (data[at : at + size], at + size) if at + size <= len(data) else None


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    body = b""
    while (end := data.find(b"\r\n", at)) >= 0:
        size = _bounded(int(data[at:end].partition(b";")[0], 16), _MAX_BODY - len(body))
        found = _bytes(data, end + 2, size + 2)
        if found is None:
            return None
        chunk, at = found
        if not size:
            return body, at
        body += chunk[:size]
    _bounded(len(data) - at, _MAX_HEAD)
    return None

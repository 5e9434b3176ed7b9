"""Many small requests to the registry at once, pipelined: all are sent before the first is answered.

A thousand answers take 30 to 60 ms so, and half a second when each is waited for. HTTP/1.1 has it (RFC 9112, section
9.3.2); of the HTTP libraries for asyncio none does it.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from yarl import URL

from jenkins_proxy.clients.consul.requests import Reply

OnReply = Callable[[int, Reply], None]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_MAX_HEAD = 2**16
_MAX_BODY = 2**20


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
    connect = functools.partial(asyncio.open_connection, where.host, where.port, ssl=secure, limit=_MAX_HEAD)
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
        while rest:
            reply = await _answer(reader)
            on_reply(rest.popleft(), reply)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Reply:
    # By hand: three fields of a thousand heads are wanted, and a parser reads them all.
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if _field(head, b"transfer-encoding") == b"chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(_bounded(int(_field(head, b"content-length"))))
    return Reply(int(head.split(b" ", 2)[1]), body, int(_field(head, b"x-consul-index") or 0))


def _field(head: bytes, name: bytes) -> bytes:
    """A field of a head in lower-case letters; empty when it is not there."""
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()


def _bounded(size: int, before: int = 0) -> int:
    """:raises ValueError: for more than an answer to such a request has."""
    if not 0 <= size <= _MAX_BODY - before:
        raise ValueError("an answer that is too long")
    return size


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
        body += (await reader.readexactly(_bounded(size, len(body)) + 2))[:size]
        if not size:
            return body

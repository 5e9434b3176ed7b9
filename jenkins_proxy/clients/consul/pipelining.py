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

from jenkins_proxy.clients.consul.answers import AnswerParser
from jenkins_proxy.clients.consul.requests import Reply

OnReply = Callable[[int, Reply], None]
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

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
    :param tls: for an ``https://`` registry, else None.
    :param connections: how many are opened for it, and closed again.
    :raises OSError: when nobody answers. EOFError: when the connection ends without one more answer. ValueError: when
        what comes is no HTTP.
    """
    where = URL(url)
    connect = functools.partial(asyncio.open_connection, where.host, where.port, ssl=tls)
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
        parser = AnswerParser(_MAX_BODY)
        while rest:
            data = await reader.read(_CHUNK)
            if not data:
                raise EOFError("closed before the last answer")
            for reply in parser.feed(data):
                on_reply(rest.popleft(), reply)
    finally:
        writer.close()

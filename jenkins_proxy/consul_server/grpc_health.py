"""gRPC's health check, asked once: as much of HTTP/2 as one small call needs, without a library of its own.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md, RFC 9113 for the frames and RFC 7541 for the headers.
Nothing of the answer's headers is read: a service that serves says so in the message, and only there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 1, 4, 8, 1
_CONNECTION, _STREAM = 0, 1
_MAX_FRAME = 16384
_SERVING = 1
_STATUSES = {0: "UNKNOWN", _SERVING: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def serving_status(host: str, port: int, service: str, tls: ssl.SSLContext | None) -> str:
    """Ask a server for the status of a service, in the protocol's word: ``SERVING``, ``NOT_SERVING`` …

    :param service: empty asks for the server as a whole.
    :param tls: None speaks without TLS.
    :raises OSError: when the server cannot be reached, or ends the connection. ValueError: for what is no answer.
    """
    if tls:
        tls.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        writer.write(_PREFACE + _frame(_SETTINGS, 0, _CONNECTION) + _request(authority, service, tls is not None))
        return _status(await _answer(reader, writer))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the server ended the connection; does it speak gRPC?") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _request(authority: str, service: str, tls: bool) -> bytes:
    headers = (
        b"\x83"  # :method: POST
        + (b"\x87" if tls else b"\x86")  # :scheme: https, http
        + b"\x04"
        + _text("/grpc.health.v1.Health/Check")
        + b"\x01"
        + _text(authority)
        + b"\x0f\x10"  # content-type
        + _text("application/grpc")
        + b"\x00"
        + _text("te")
        + _text("trailers")
    )
    name = service.encode()
    message = b"\x0a" + _number(len(name)) + name if name else b""
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    return _frame(_HEADERS, _END_HEADERS, _STREAM, headers) + _frame(_DATA, _END_STREAM, _STREAM, body)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The call's message with its prefix; empty when the call fails without one."""
    data = b""
    while True:
        head = await reader.readexactly(9)
        kind, flags = head[3], head[4]
        length, stream = int.from_bytes(head[:3], "big"), int.from_bytes(head[5:], "big")
        if length > _MAX_FRAME or len(data) > _MAX_FRAME:
            raise ValueError("the answer is no gRPC health")
        content = await reader.readexactly(length)
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            writer.write(_frame(kind, _ACK, _CONNECTION, content if kind == _PING else b""))
        elif kind == _GO_AWAY or (kind == _RESET and stream == _STREAM):
            raise ConnectionResetError("the server refuses the call")
        elif kind == _DATA and stream == _STREAM:
            data += content[1 : len(content) - content[0]] if flags & _PADDED and content else content
        if stream == _STREAM and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return data


def _status(data: bytes) -> str:
    if not data:
        raise ValueError("the server knows no such service, or no health check")
    message = data[5:]
    if data[0] or len(message) != int.from_bytes(data[1:5], "big") or message[:1] not in (b"", b"\x08"):
        raise ValueError("the answer is no gRPC health")
    number = message[1] if len(message) > 1 else 0
    return _STATUSES.get(number, str(number))


def _frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def _text(text: str) -> bytes:
    """A header's text without Huffman's code."""
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + _number(len(data) - 127) + data


def _number(number: int) -> bytes:
    """Seven bits a byte, the low ones first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))

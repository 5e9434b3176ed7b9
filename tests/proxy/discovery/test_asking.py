"""What counts as an answer, and what is said of everything else."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import struct

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.discovery.asking import ask
from jenkins_proxy.proxy.route_check import route_check

BOOKS = Route("books", ("/books",), ("example.com",))
HEALTH = dataclasses.replace(BOOKS, check_path="/health?deep=1")
REGEX = Route("books", ("/b.*",), path_type="path_reg")


def reset(writer: asyncio.StreamWriter) -> None:
    """Close as a port does whose server is gone."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@pytest.fixture
async def serve():
    """``await serve(act)`` is the address of a server; ``act`` gets each connection's writer after the request."""
    servers = []

    async def start(act, requests=None) -> Address:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if requests is not None:
                requests.append(head)
            act(writer)

        servers.append(await asyncio.start_server(handle, "127.0.0.1", 0))
        return Address("127.0.0.1", servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


def answering(text: bytes):
    def act(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        writer.close()

    return act


@pytest.mark.parametrize(
    ("route", "answer", "expected"),
    [
        (BOOKS, b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (BOOKS, b"HTTP/1.0 404 Not Found\n\n", ""),
        (BOOKS, b"HTTP/1.1 499\r\n\r\n", ""),
        (BOOKS, b"HTTP/1.1 500 Internal\r\n\r\n", "GET /books: HTTP 500"),
        (BOOKS, b"HTTP/1.1 503 Unavailable\r\n\r\n", "GET /books: HTTP 503"),
        (BOOKS, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 Oops\r\n\r\n", "GET /books: HTTP 500"),
        (BOOKS, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        (BOOKS, b"SSH-2.0-OpenSSH\r\n", "GET /books: the answer is not HTTP"),
        (BOOKS, b"x" * 100_000, "GET /books: the answer is not HTTP"),
        (BOOKS, b"", "GET /books: the connection was closed without an answer"),
        (BOOKS, b"HTTP/1.1 200", "GET /books: the connection was closed without an answer"),
        (HEALTH, b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (HEALTH, b"HTTP/1.1 302 Found\r\n\r\n", ""),
        (HEALTH, b"HTTP/1.1 401 Unauthorized\r\n\r\n", ""),
        (HEALTH, b"HTTP/1.1 403 Forbidden\r\n\r\n", ""),
        (HEALTH, b"HTTP/1.1 404 Not Found\r\n\r\n", "GET /health?deep=1: HTTP 404"),
        (HEALTH, b"HTTP/1.1 500 Oops\r\n\r\n", "GET /health?deep=1: HTTP 500"),
        (REGEX, b"HTTP/1.1 501 Not Implemented\r\n\r\n", ""),
        (REGEX, b"", "OPTIONS *: the connection was closed without an answer"),
    ],
)
async def test_what_an_answer_says(serve, route, answer, expected):
    assert await ask(await serve(answering(answer)), route_check(route), 5) == expected


async def test_who_refuses_drops_or_is_silent_has_not_answered(serve, free_port):
    check = route_check(BOOKS)
    assert await ask(Address("127.0.0.1", free_port()), check, 5) == "GET /books: Connection refused"
    assert await ask(await serve(reset), check, 5) == "GET /books: Connection reset by peer"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert await ask(Address(*silent.getsockname()), check, 0.2) == "GET /books: no answer within 0.2 s"


@pytest.mark.parametrize(
    ("route", "line", "host"),
    [
        (BOOKS, b"GET /books HTTP/1.1", b"Host: example.com"),
        (HEALTH, b"GET /health?deep=1 HTTP/1.1", b"Host: example.com"),
        (REGEX, b"OPTIONS * HTTP/1.1", b"Host: 127.0.0.1:%d"),
    ],
)
async def test_what_is_asked(serve, route, line, host):
    requests: list[bytes] = []
    address = await serve(answering(b"HTTP/1.1 200 OK\r\n\r\n"), requests)
    await ask(address, route_check(route), 5)
    lines = requests[0].split(b"\r\n")
    assert lines[0] == line
    assert (host % address.port if b"%" in host else host) in lines
    assert {b"User-Agent: jenkins-proxy", b"Connection: close"} <= set(lines)

"""Connections that are kept, limited, closed by the other side and made again."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from jenkins_proxy.clients.consul.answers import TooLongError
from jenkins_proxy.clients.consul.connections import Connections
from jenkins_proxy.clients.consul.requests import Call, Reply


def call(path: str = "/v1/x", method: str = "GET", **fields) -> Call[Reply]:
    return Call(method, path, lambda reply: reply, **fields)


class Server:
    """It answers each request with the path that was asked for.

    :ivar served: requests of each connection. :ivar most: after so many it closes without a word. :ivar go: set while
        it answers.
    """

    def __init__(self) -> None:
        self.served: list[list[bytes]] = []
        self.most = 1000
        self.go = asyncio.Event()
        self.go.set()
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        self.served.append(mine)
        with contextlib.suppress(EOFError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                body = await reader.readexactly(int(size or 0))
                if len(mine) >= self.most:
                    break
                mine.append(head + body)
                await self.go.wait()
                path = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        writer.close()


@pytest.fixture
async def server():
    made = Server()
    listening = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


@pytest.fixture
async def connections(server):
    made = Connections(f"{server.url}/behind/", {"X-Consul-Token": "t"}, tls=None, limit=2)
    yield made
    await made.close()


async def test_a_connection_is_used_again(server, connections):
    assert (await connections.ask(call("/v1/a"))).body == b"/behind/v1/a"
    assert (await connections.ask(call("/v1/b", "PUT", body=b"{}"))).body == b"/behind/v1/b"
    [[first, second]] = server.served
    host = server.url[7:].encode()
    assert first == b"GET /behind/v1/a HTTP/1.1\r\nHost: " + host + b"\r\nX-Consul-Token: t\r\n\r\n"
    assert second.endswith(b"\r\nContent-Length: 2\r\n\r\n{}")


async def test_a_registry_that_is_gone_without_a_word_is_noticed_by_the_system(server, connections):
    """In half a minute, as a cut link showed; here only that the system was asked to."""
    await connections.ask(call("/v1/a"))
    [one] = connections._open
    used = one._transport.get_extra_info("socket")
    assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_no_more_than_allowed_are_open(server, connections, wait_until):
    server.go.clear()
    asked = [asyncio.ensure_future(connections.ask(call(f"/v1/{number}"))) for number in range(5)]
    await wait_until(lambda: [len(mine) for mine in server.served] == [1, 1])
    server.go.set()
    assert [reply.body for reply in await asyncio.gather(*asked)] == [b"/behind/v1/%d" % number for number in range(5)]
    assert len(server.served) == 2


async def test_one_that_was_closed_meanwhile_is_made_again_where_that_is_safe(server, connections):
    server.most = 1
    assert (await connections.ask(call())).status == (await connections.ask(call(method="PUT"))).status == 200
    with pytest.raises(EOFError):
        await connections.ask(call(method="POST"))
    assert [len(mine) for mine in server.served] == [1, 1]


async def test_an_answer_that_does_not_come_in_time(server, connections):
    server.go.clear()

    class Short(Call):
        timeout = 0.05

    with pytest.raises(TimeoutError):
        await connections.ask(Short("GET", "/v1/x", lambda reply: reply))
    server.go.set()
    # What it says later is nobody's answer.
    assert (await connections.ask(call("/v1/y"))).body == b"/behind/v1/y"


async def test_calls_under_way_fail_when_they_are_closed(server, connections, wait_until):
    server.go.clear()
    asked = asyncio.ensure_future(connections.ask(call()))
    await wait_until(lambda: server.served and server.served[0])
    await connections.close()
    with pytest.raises(EOFError):
        await asked
    server.go.set()


@pytest.mark.parametrize("size", [1, 20, 39])
async def test_an_answer_that_nobody_asked_for_is_not_anothers(size, wait_until):
    """The second one comes whole, or its rest only once another call was sent."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"
    ended = []

    async def talk(reader, writer):
        with contextlib.suppress(EOFError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer % 1 + (answer % 2)[:size])
            await reader.readuntil(b"\r\n\r\n")
            writer.write((answer % 2)[size:])
        writer.close()
        ended.append(writer)

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    both = Connections(url, {}, tls=None, limit=1)
    assert (await both.ask(call())).body == b"1"
    assert (await both.ask(call())).body == b"1"
    await both.close()
    await wait_until(lambda: len(ended) == 2)
    listening.close()


async def test_each_call_has_its_own_bound(connections):
    for most, fits in ((20, True), (3, False), (20, True)):
        if fits:
            assert (await connections.ask(call(max_bytes=most))).body == b"/behind/v1/x"
        else:
            with pytest.raises(TooLongError):
                await connections.ask(call(max_bytes=most))

"""Calls as streams of HTTP/2 connections, to a server that can also do what no Consul does."""

from __future__ import annotations

import asyncio
import functools
import ssl

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamReset
from h2.settings import SettingCodes, Settings

from jenkins_proxy import tls
from jenkins_proxy.clients.consul.answers import TooLongError
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import Call, Reply
from jenkins_proxy.clients.consul.stream_connection import UnheardError
from jenkins_proxy.clients.consul.streams import Streams
from jenkins_proxy.errors import RegistryError

MOST = 5
"""Streams that the server allows on a connection."""


def call(path: str = "/v1/x", **fields) -> Call[Reply]:
    return Call("GET", path, lambda reply: reply, **fields)


class Short(Call):
    timeout = 0.05


class Server:
    """It answers a request with its path, unless the path is a word that it knows.

    :ivar asked: the paths of each connection. :ivar waiting: calls of ``/v1/wait`` that have no answer. :ivar closes:
        how many times ``/v1/close`` ends its connection before it is answered.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.waiting: list[tuple[Speaker, int]] = []
        self.closes = 0
        self.protocols = ["h2"]
        self.url = ""

    def answer_all(self) -> None:
        while self.waiting:
            speaker, stream = self.waiting.pop()
            speaker.answer(stream, "late")


class Speaker(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.mine: list[str] = []
        self.http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.server.asked.append(self.mine)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            self.http.local_settings = Settings(False, {SettingCodes.MAX_CONCURRENT_STREAMS: MOST})
            self.http.initiate_connection()
            self.send()

    def data_received(self, data: bytes) -> None:
        for event in self.http.receive_data(data):
            if isinstance(event, RequestReceived):
                fields = dict(event.headers)
                self.mine.append(fields[":path"])
                getattr(self, fields[":path"].rpartition("/")[2], self.say_path)(event.stream_id)
            elif isinstance(event, StreamReset):
                self.server.waiting = [one for one in self.server.waiting if one != (self, event.stream_id)]
        self.send()

    def send(self) -> None:
        self.transport.write(self.http.data_to_send())

    def answer(self, stream: int, body: str, status: int = 200) -> None:
        self.http.send_headers(stream, [(":status", str(status)), ("x-consul-index", "7")])
        self.http.send_data(stream, body.encode(), end_stream=True)
        self.send()

    def say_path(self, stream: int) -> None:
        self.answer(stream, self.mine[-1])

    def wait(self, stream: int) -> None:
        self.server.waiting.append((self, stream))

    def close(self, stream: int) -> None:
        if self.server.closes:
            self.server.closes -= 1
            self.transport.abort()
        else:
            self.answer(stream, "at last")

    def half(self, stream: int) -> None:
        self.http.send_headers(stream, [(":status", "200")])
        self.send()
        self.transport.close()

    def reset(self, stream: int) -> None:
        self.http.reset_stream(stream)

    def goaway(self, stream: int) -> None:
        self.answer(stream, "the last one")
        self.http.close_connection(last_stream_id=stream)

    def long(self, stream: int) -> None:
        self.answer(stream, "x" * 100)

    def garbage(self, _stream: int) -> None:
        self.transport.write(b"\0\0\1\0\0\0\0\0\0x")  # a body's part of no stream


@pytest.fixture
async def server(loopback_certificate):
    made = Server()

    @functools.cache
    def offering(*protocols: str) -> ssl.SSLContext:
        context = tls.server_context(str(loopback_certificate.cert), str(loopback_certificate.key))
        context.set_alpn_protocols(list(protocols))
        return context

    def choose(connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = offering(*made.protocols)

    context = tls.server_context(str(loopback_certificate.cert), str(loopback_certificate.key))
    context.sni_callback = choose
    listening = await asyncio.get_running_loop().create_server(lambda: Speaker(made), "127.0.0.1", 0, ssl=context)
    made.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


@pytest.fixture
async def streams(server, loopback_certificate):
    headers = {"X-Consul-Token": "t"}
    made = Streams(f"{server.url}/behind/", headers, tls=loopback_certificate.context(), limit=2)
    yield made
    await made.close()


async def test_a_connection_has_many_calls_and_no_more_connections_than_allowed_are_open(server, streams, wait_until):
    asked = [asyncio.ensure_future(streams.ask(call("/v1/wait"))) for _ in range(2 * MOST + 3)]
    await wait_until(lambda: len(server.waiting) == 2 * MOST)
    assert [len(mine) for mine in server.asked] == [MOST, MOST]
    assert streams.capacity == 2 * MOST
    server.answer_all()
    await wait_until(lambda: len(server.waiting) == 3)
    server.answer_all()
    assert await asyncio.gather(*asked) == [Reply(200, b"late", 7)] * (2 * MOST + 3)
    assert server.asked[0][0] == "/behind/v1/wait"


async def test_one_that_was_closed_before_anything_came_is_asked_again_once(server, streams):
    server.closes = 1
    assert (await streams.ask(call("/v1/close"))).body == b"at last"
    server.closes = 2
    with pytest.raises(UnheardError):
        await streams.ask(call("/v1/close"))


async def test_what_a_server_ends_is_an_error(server, streams):
    with pytest.raises(EOFError):
        await streams.ask(call("/v1/half"))
    with pytest.raises(EOFError):
        await streams.ask(call("/v1/reset"))
    assert [path for mine in server.asked for path in mine].count("/behind/v1/half") == 1
    with pytest.raises(ValueError, match="no HTTP/2"):
        await streams.ask(call("/v1/garbage"))
    assert (await streams.ask(call("/v1/y"))).body == b"/behind/v1/y"


async def test_a_connection_that_takes_no_more_calls_is_followed_by_another(server, streams, wait_until):
    under_way = asyncio.ensure_future(streams.ask(call("/v1/wait")))
    await wait_until(lambda: server.waiting)
    assert (await streams.ask(call("/v1/goaway"))).body == b"the last one"
    assert (await streams.ask(call("/v1/y"))).body == b"/behind/v1/y"
    assert [len(mine) for mine in server.asked] == [2, 1]
    under_way.cancel()


async def test_a_connection_that_takes_no_more_calls_leaves_its_place(server, loopback_certificate):
    only = Streams(server.url, {}, tls=loopback_certificate.context(), limit=1)
    for _ in range(3):
        assert (await asyncio.wait_for(only.ask(call("/v1/goaway")), 5)).body == b"the last one"
    await only.close()


async def test_each_call_has_its_own_bound_and_the_others_go_on(server, streams, wait_until):
    beside = asyncio.ensure_future(streams.ask(call("/v1/wait")))
    await wait_until(lambda: server.waiting)
    with pytest.raises(TooLongError):
        await streams.ask(call("/v1/long", max_bytes=99))
    assert len((await streams.ask(call("/v1/long", max_bytes=100))).body) == 100
    server.answer_all()
    assert (await beside).body == b"late"
    assert len(server.asked) == 1


async def test_an_answer_that_does_not_come_in_time_ends_the_connection(server, streams, wait_until):
    with pytest.raises(TimeoutError):
        await streams.ask(Short("GET", "/v1/wait", lambda reply: reply))
    assert (await streams.ask(call("/v1/y"))).body == b"/behind/v1/y"
    assert len(server.asked) == 2


async def test_who_waits_no_longer_leaves_room(server, streams, wait_until):
    asked = [asyncio.ensure_future(streams.ask(call("/v1/wait"))) for _ in range(2 * MOST + 1)]
    await wait_until(lambda: len(server.waiting) == 2 * MOST)
    asked[0].cancel()
    await wait_until(lambda: sum(len(mine) for mine in server.asked) == 2 * MOST + 1)
    # The server was told: it waits for as many as before.
    assert len(server.waiting) == 2 * MOST
    assert len(server.asked) == 2
    server.answer_all()
    await asyncio.gather(*asked[1:])


async def test_calls_under_way_fail_when_they_are_closed(server, streams, wait_until):
    asked = asyncio.ensure_future(streams.ask(call("/v1/wait")))
    await wait_until(lambda: server.waiting)
    await streams.close()
    with pytest.raises(EOFError):
        await asked


async def test_a_registry_without_http_2_is_asked_by_a_connection_a_call(server, loopback_certificate):
    server.protocols = ["http/1.1"]
    async with AsyncConsul(server.url, tls=loopback_certificate.context, connections=30) as registry:
        assert await registry.capacity() == 29


async def test_a_registry_that_spoke_it_and_does_not_any_more_is_named(server, loopback_certificate, wait_until):
    async with AsyncConsul(server.url, tls=loopback_certificate.context, connections=100) as registry:
        assert await registry.capacity() == 36 * MOST
        server.protocols = ["http/1.1"]
        for connection in tuple(registry._streams._open):
            connection.abort()
        await wait_until(lambda: not registry._streams._open)
        with pytest.raises(RegistryError, match="spoke HTTP/2 before"):
            await registry.call(call())


async def test_a_registry_that_is_away_is_an_error_as_with_any_call(free_port, loopback_certificate):
    async with AsyncConsul(f"https://127.0.0.1:{free_port()}", tls=loopback_certificate.context) as registry:
        with pytest.raises(RegistryError, match="no registry answers"):
            await registry.capacity()
        with pytest.raises(RegistryError, match="no registry answers"):
            await registry.call(call())

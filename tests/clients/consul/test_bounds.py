"""Answers that are none of Consul's: without an end, without an index, at once and again and again."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from jenkins_proxy.clients.consul import calls
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.consul.requests import MAX_ANSWER, EndlessAnswer, Pace, RegistryRefused

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"
FROZEN = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]"
ENDLESS = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n\r\n["
PART = b"0," * 2**17


class Server:
    """It gives each request the same answer. :ivar asked: how many there were. :ivar sent: bytes of endless ones.
    :ivar ended: connections.
    """

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked = 0
        self.sent = 0
        self.ended = 0
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                writer.write(self.answer)
                while self.answer is ENDLESS:
                    writer.write(PART)
                    await writer.drain()
                    self.sent += len(PART)
        writer.close()
        self.ended += 1


@pytest.fixture
async def serve():
    """``serve(answer)`` is a :class:`Server`."""
    servers = []

    async def start(answer: bytes) -> Server:
        made = Server(answer)
        server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
        servers.append(server)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return made

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_an_answer_without_an_end_is_given_up(serve, sync):
    server = await serve(ENDLESS)
    with pytest.raises(
        RegistryRefused, match="/v1/health/service/web as Consul does: the answer is longer than 64 MiB"
    ):
        if sync:
            await asyncio.to_thread(Consul(server.url).instances, "web")
        else:
            async with AsyncConsul(server.url) as registry:
                await registry.instances("web")
    assert server.sent < MAX_ANSWER * 1.5


async def test_a_call_has_a_bound_of_its_own(serve, wait_until):
    server = await serve(ENDLESS)
    async with AsyncConsul(server.url) as registry:
        with pytest.raises(EndlessAnswer, match="/v1/catalog/node/n1 as Consul does: the answer is longer than 1 MiB"):
            await registry.node("n1", max_bytes=2**20)
    assert server.sent < MAX_ANSWER
    await wait_until(lambda: server.ended)


async def test_a_sweep_ends_with_an_answer_that_is_too_long(serve):
    server = await serve(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 99999999999\r\n\r\n[")
    async with AsyncConsul(server.url) as registry:
        with pytest.raises(RegistryRefused, match="too long"):
            await registry.service_indexes(["web"], lambda _name, _index: None)


async def test_a_load_balancers_404_is_no_empty_folder(serve):
    server = await serve(NOT_FOUND)
    async with AsyncConsul(server.url) as registry:
        for index in (0, 7):
            with pytest.raises(RegistryRefused, match="HTTP 404 without X-Consul-Index"):
                await registry.kv_watch("jenkins-proxy/routes/", index=index, wait=30.0)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_a_watch_of_what_never_changes_and_never_waits_does_not_spin(serve, sync):
    server = await serve(FROZEN)
    end = time.monotonic() + 0.6
    if sync:
        with Consul(server.url) as blocking:
            while time.monotonic() < end:
                await asyncio.to_thread(blocking.instances, "web", index=7, wait=30.0)
    else:
        async with AsyncConsul(server.url) as registry:
            while time.monotonic() < end:
                await registry.instances("web", index=7, wait=30.0)
    assert server.asked < 8


@pytest.mark.parametrize(
    "answers, pauses",
    [
        ([(8, 0.0), (9, 0.0), (10, 0.0)], [0, 0, 0]),  # each is news
        ([(7, 30.0), (7, 29.0)], [0, 0]),  # quiet waits
        ([(3, 0.0), (8, 0.0)], [0, 0]),  # a registry that was started again
        ([(7, 0.0), (7, 0.0), (7, 0.0), (7, 0.0)], [0, 0.1, 0.2, 0.4]),
        ([(7, 0.0), (3, 0.0)] * 5, [0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0]),  # two registries in turn
        ([(7, 0.0), (7, 0.0), (8, 0.0), (7, 0.0)], [0, 0.1, 0, 0]),
    ],
)
def test_pauses(answers, pauses):
    pace = Pace()
    call = calls.instances("web", index=7, wait=30.0)
    assert [pace.pause(call, index, seconds) for index, seconds in answers] == pytest.approx(pauses)


def test_a_call_that_does_not_block_is_never_paused():
    pace = Pace()
    assert [pace.pause(calls.instances("web"), 7, 0.0) for _ in range(3)] == [0, 0, 0]
    short = calls.instances("web", index=7, wait=0.1)
    assert [pace.pause(short, 7, 0.1) for _ in range(3)] == [0, 0, 0], "it took its time"

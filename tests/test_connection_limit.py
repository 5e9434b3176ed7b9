"""Who only connects leaves room for those who ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource

import pytest
from aiohttp import ClientSession, web

from jenkins_proxy import connection_limit
from jenkins_proxy.connection_limit import ConnectionLimit
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.api.sockets import take_port


async def here(_request: web.Request) -> web.Response:
    return web.Response(text="here")


@pytest.fixture
async def serve(free_port):
    """``serve(limit)`` is the port of a server that answers, within the limit."""
    left = []

    async def start(limit: ConnectionLimit) -> int:
        app = web.Application()
        app.router.add_get("/", here)
        runner = web.AppRunner(app)
        await runner.setup()
        address = Address("127.0.0.1", free_port())
        server = await connection_limit.listen(runner, take_port(address, "--listen"), limit)
        left.append((server, runner))
        return address.port

    yield start
    for server, runner in left:
        server.close()
        await runner.cleanup()


async def silent(port: int, count: int, text: bytes = b"") -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in made:
        writer.write(text)
    return made


async def asks(port: int) -> str:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
        return await answer.text()


@pytest.mark.parametrize("text", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_the_oldest_that_ask_for_nothing_make_room(serve, caplog, text):
    # None of them ends by itself.
    port = await serve(ConnectionLimit("the API", 20, head_seconds=3600.0))
    with caplog.at_level(logging.WARNING, "jenkins_proxy"):
        made = await silent(port, 60, text)
        assert await asks(port) == "here"
    assert len(caplog.records) == 1, "one line, not one for each"
    assert "the API has " in caplog.text and "from 127.0.0.1" in caplog.text
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(made[0][0].read(), 10) == b""
    for _, writer in made:
        writer.close()


async def test_a_head_that_does_not_come_ends_its_connection(serve):
    port = await serve(ConnectionLimit("the API", 20, head_seconds=0.1))
    ((reader, writer),) = await silent(port, 1, b"GET / HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(100), 10) == b""
    writer.close()


async def test_who_has_asked_may_be_silent_afterwards(serve):
    port = await serve(ConnectionLimit("the API", 20, head_seconds=0.1))
    ((reader, writer),) = await silent(port, 1)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.3)
    writer.close()


async def test_one_address_leaves_room_for_others_also_when_all_of_it_have_asked(serve):
    port = await serve(ConnectionLimit("the API", 20))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    made = await silent(port, 30, request)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    writer.write(request)
    assert (await asyncio.wait_for(reader.readuntil(b"here"), 10)).startswith(b"HTTP/1.1 200 ")
    for _, one in (*made, (reader, writer)):
        one.close()


@pytest.fixture
def limit_of_descriptors():
    """The soft limit that this process has, which is as before when the test ends; and the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_process_takes_what_it_may_have(limit_of_descriptors):
    _, hard = limit_of_descriptors
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most - 1, hard))
    assert connection_limit.raise_limit() == most
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
    assert 16 <= connection_limit.share(2) <= connection_limit.share(1) < most

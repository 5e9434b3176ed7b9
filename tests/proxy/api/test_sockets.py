"""The port that the daemon listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.api import app, sockets
from jenkins_proxy.proxy.timing import Timing


def test_a_taken_port_is_named() -> None:
    with sockets.take_port(Address("127.0.0.1", 0), "--listen") as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=f"^cannot listen on --listen 127.0.0.1:{port}: it is in use$"):
            sockets.take_port(Address("127.0.0.1", port), "--listen")
    sockets.take_port(Address("127.0.0.1", port), "--listen").close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(UsageError, match="^cannot listen on --listen 192.0.2.1:8081: cannot assign"):
        sockets.take_port(Address("192.0.2.1", 8081), "--listen")
    with pytest.raises(UsageError, match="^cannot listen on --listen no-such-host.invalid:8081: "):
        sockets.take_port(Address("no-such-host.invalid", 8081), "--listen")


def test_ipv6() -> None:
    with sockets.take_port(Address("::1", 0), "--listen") as taken:
        assert taken.family == socket.AF_INET6


async def test_a_connection_that_asks_no_more_is_closed() -> None:
    runner = app.runner(web.Application(), Timing(api_idle=0.1))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    # Its end, after the answer.
    assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 404 ")
    writer.close()
    await runner.cleanup()

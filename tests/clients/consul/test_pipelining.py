"""Many questions over few connections, answered by servers with habits of their own."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from jenkins_proxy.clients.consul import pipelining
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import Reply
from jenkins_proxy.errors import RegistryError

TARGETS = [f"/v1/{number}" for number in range(7)]
PLAIN = "HTTP/1.1 200 OK\r\nX-Consul-Index: {index}\r\ncontent-length: 2\r\n\r\n[]"
CHUNKED = (
    "HTTP/1.1 200 OK\r\nx-consul-index: {index}\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n[\r\n1\r\n]\r\n0\r\n\r\n"
)


@pytest.fixture
async def serve():
    """``serve(answer, most)`` answers ``most`` questions on each connection; gives its address and what was asked."""
    servers = []

    async def start(answer: str, most: int = 1000) -> tuple[str, list[str]]:
        heads: list[str] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(EOFError, OSError):
                for _ in range(most):
                    heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                    index = heads[-1].split(" ")[1].rpartition("/")[2]
                    writer.write(answer.format(index=index).encode())
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED])
@pytest.mark.parametrize("most", [1000, 3, 1])
async def test_every_question_is_answered(serve, answer, most):
    url, heads = await serve(answer, most)

    found = {}
    await pipelining.ask(f"{url}/behind", TARGETS, found.__setitem__, headers={"X-Consul-Token": "t"})

    assert {head.split(" ")[1] for head in heads} == {f"/behind{target}" for target in TARGETS}
    assert found == {number: Reply(200, b"[]", number) for number in range(7)}
    assert all(f"Host: {url[7:]}\r\nX-Consul-Token: t\r\n" in head for head in heads)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope", "refused GET /v1/health/service/a: nope"),
        ("hello\r\n\r\n", "does not answer as Consul does"),
        ("", "no registry answers at"),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_registry(serve, answer, reason):
    url, _ = await serve(answer, 1)
    async with AsyncConsul(url) as registry:
        with pytest.raises(RegistryError, match=reason):
            await registry.service_indexes(["a"], print)


async def test_nobody_there(free_port):
    async with AsyncConsul(f"http://127.0.0.1:{free_port()}") as registry:
        with pytest.raises(RegistryError, match="no registry answers at .*: connection refused"):
            await registry.service_indexes(["a"], print)
        await registry.service_indexes([], print)

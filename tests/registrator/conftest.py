"""The agent with real containers."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import uuid

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.consul_server.server import EmbeddedRegistry
from jenkins_proxy.registrator.agent import run_agent

SOCKET = "/var/run/docker.sock"
LOCAL = Endpoint(f"unix://{SOCKET}", "the test")
HOSTNAME = socket.gethostname()

DOCKERFILE = """
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
CMD ["/bin/httpd", "-f", "-p", "8080"]
"""


@pytest.fixture(scope="session")
def image(build_image) -> str:
    return build_image(DOCKERFILE)


class Docker:
    """The docker command without blocking the loop."""

    def __init__(self, program: str, image: str) -> None:
        self._program, self._image = program, image
        self.started: list[str] = []

    async def __call__(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self._program, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, f"docker {' '.join(words)}: {err.decode()}"
        return out.decode().strip()

    async def run(self, *options: str, name: str = "", command: tuple[str, ...] = (), publish: str = "8080") -> str:
        name = name or f"r-{uuid.uuid4().hex[:8]}"
        self.started.append(name)
        await self("run", "-d", "--name", name, "-p", publish, *options, self._image, *command)
        return name

    async def port(self, name: str) -> int:
        return int((await self("port", name, "8080/tcp")).splitlines()[0].rpartition(":")[2])


@pytest.fixture
async def engine(docker, image):
    command = Docker(docker, image)
    yield command
    for name in command.started:
        # What a test took away itself is no error here.
        await command("rm", "-f", name)


@pytest.fixture
async def registry():
    embedded = EmbeddedRegistry()
    await embedded.start(port=0)
    yield embedded
    await embedded.stop()


@pytest.fixture
async def client(registry):
    async with AsyncConsul(registry.url) as consul:
        yield consul


class Log(logging.Handler):
    """What the registrator logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def log():
    logger, handler = logging.getLogger("jenkins_proxy.registrator"), Log()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@pytest.fixture
async def agent(log, client, engine):
    """``agent(consul)`` starts one; ``await agent.end()`` ends it: before the client closes and the containers go."""
    tasks = []

    def start(consul, endpoint=LOCAL, ip="127.0.0.1", **options):
        tasks.append(asyncio.ensure_future(run_agent(endpoint, consul, ip=ip, **options)))

    async def end():
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        tasks.clear()
        assert [repr(result) for result in results if not isinstance(result, asyncio.CancelledError)] == []

    start.end = end
    yield start
    await end()


@pytest.fixture
def entry(until):
    """``await entry(consul, name)`` is the row of a container, once it is registered; None with ``there=False``."""

    async def wait(consul, name, port=0, *, there=True):
        async def look():
            row = (await consul.agent_services()).get(f"{HOSTNAME}:{name}:8080")
            return bool(row) is there and (not port or row["Port"] == port) and (row or True)

        return await until(look, f"{name} {'there' if there else 'gone'}")

    return wait

"""A reconciler that stands in where a test is about the API alone: its states and its failures can be told."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.states import NotRoutedError, ProxyState, RouteState, ServedInstance


class StandIn:
    """The reconciler's methods over a dictionary. ``failure`` is raised by the next call that changes something."""

    def __init__(self) -> None:
        self.probe_key = "the-probe-key"
        self.routes: dict[str, RouteState] = {}
        self.calls: list[tuple] = []
        self.failure: Exception | None = None
        self.proxy = ProxyState(version=7, serving=True, routes=())
        self.called = asyncio.Event()

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        self.called.set()
        failure, self.failure = self.failure, None
        if failure:
            raise failure

    async def put(self, route: Route, *, allow_empty: bool = False, dry_run: bool = False) -> RouteState:
        self._called("put", route, allow_empty, dry_run)
        state = RouteState(route, 3, served(route.service), "reload", {"reload": 0.0123}, diff="+ a line" * dry_run)
        if not dry_run:
            self.routes[route.service] = state
        return state

    def text(self) -> str:
        return "\n".join(self.routes)

    def removal(self, service: str) -> str:
        self._called("removal", service)
        if service not in self.routes:
            raise NotRoutedError(f"there is no route of {service}")
        return "- a line"

    async def remove(self, service: str) -> bool:
        self._called("remove", service)
        return self.routes.pop(service, None) is not None

    async def drain(self, service: str, addresses, timeout: float) -> RouteState:
        self._called("drain", service, tuple(addresses), timeout)
        return self.routes[service]

    async def resume(self, service: str, addresses) -> RouteState:
        self._called("resume", service, tuple(addresses))
        return self.routes[service]

    async def reload(self) -> None:
        self._called("reload")

    def route(self, service: str) -> RouteState | None:
        return self.routes.get(service)

    def state(self) -> ProxyState:
        return dataclasses.replace(self.proxy, routes=tuple(self.routes.values()))

    def config(self) -> str:
        return f"backend books-ms-be\n  http-request deny unless {{ hdr(x) {self.probe_key} }}\n"


def served(service: str, *statuses: str) -> tuple[ServedInstance, ...]:
    """Instances of a service, one a status; ``passing`` ones serve."""
    return tuple(
        ServedInstance(
            Instance(service, f"node:{service}:{port}", Address("10.0.0.1", port), "node-1", status),
            serving=status == "passing",
        )
        for port, status in enumerate(statuses or ("passing",), start=32768)
    )


@pytest.fixture
async def reconciler() -> StandIn:
    # A coroutine, so that it is made within the test's event loop: before Python 3.10 its events belong to one.
    return StandIn()


@pytest.fixture(name="served")
def _served():
    return served


class Origin:
    """A server behind the proxy. It answers with its name, and keeps connections alive.

    ``/slow`` answers when ``release`` is set, ``/socket`` becomes an echo, ``/close`` closes without an answer.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.listens = True
        """False for a port whose server is not there yet: it takes connections and drops them."""
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> Origin:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)
        self.address = Address("127.0.0.1", self._server.sockets[0].getsockname()[1])
        return self

    async def stop(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while self.listens and await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        self.requests.append(target)
        self.headers.append(dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2]))
        self.arrived.set()
        if target.endswith("/close"):
            return False
        if target.endswith("/socket"):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := await reader.read(1024):
                writer.write(data)
            return False
        if target.endswith("/slow"):
            await self.release.wait()
        writer.write(
            b"HTTP/1.1 200 OK\r\nX-Jenkins-Proxy-Instance: forged\r\nContent-Length: %d\r\n\r\n%s"
            % (len(self.name), self.name.encode())
        )
        return True


@pytest.fixture
async def origin():
    """``await origin("name")`` is a server that runs until the test ends."""
    started = []

    async def start(name: str = "origin", port: int = 0) -> Origin:
        started.append(await Origin(name).start(port))
        return started[-1]

    yield start
    for one in started:
        await one.stop()


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: str


class Visitor:
    """A connection of a user to the proxy; requests go over it one after the other."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> Visitor:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.writer.close()

    async def send(self, path: str, host: str = "localhost", method: str = "GET", **headers: str) -> None:
        given = (f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
        lines = (f"{method} {path} HTTP/1.1", f"Host: {host}", *given, "", "")
        self.writer.write("\r\n".join(lines).encode())

    async def receive(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(head[0].split(" ")[1]), headers, body.decode())

    async def ask(self, path: str, host: str = "localhost", method: str = "GET", **headers: str) -> Reply:
        await self.send(path, host, method, **headers)
        return await self.receive()


@pytest.fixture
def visitor():
    """``async with visitor(port) as user`` is a user's connection to the proxy."""
    return Visitor


@pytest.fixture
def ask():
    """``await ask(port, path, host)`` is one request over a connection of its own."""

    async def once(port: int, path: str, host: str = "localhost", method: str = "GET", **headers: str) -> Reply:
        async with Visitor(port) as user:
            return await user.ask(path, host, method, connection="close", **headers)

    return once


@pytest.fixture
def wait_until():
    """``await wait_until(condition)`` returns its first truthy value; the loop goes on meanwhile, 20 s at the most."""

    async def wait(condition, seconds: float = 20.0):
        end = asyncio.get_running_loop().time() + seconds
        while not (value := condition()):
            assert asyncio.get_running_loop().time() < end, f"not within {seconds} s"
            await asyncio.sleep(0.005)
        return value

    return wait

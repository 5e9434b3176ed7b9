"""The proxy service with a real HAProxy and a real Consul."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.controller import Controller
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class Daemon:
    """A proxy service with its HAProxy, in a folder that outlives it."""

    def __init__(self, url: str, folder: Path, port: int, timing: Timing) -> None:
        self.url, self.folder, self.port, self.timing = url, folder, port, timing

    async def start(self) -> Daemon:
        self.registry = AsyncConsul(self.url)
        self.haproxy = HAProxy(Options(binds=(f"127.0.0.1:{self.port}",)), self.folder / "haproxy")
        self.controller = Controller(
            self.registry, self.haproxy, state_dir=self.folder, name=self.folder.name, timing=self.timing
        )
        self.proxy_service = self.controller.service
        self.events: list = []
        self.listener = asyncio.create_task(self._listen())
        await self.controller.start()
        return self

    async def _listen(self) -> None:
        async for event in self.controller.events.subscribe():
            self.events.append(event)

    async def stop(self) -> None:
        self.listener.cancel()
        await self.controller.stop()
        await self.registry.close()

    def kinds(self, service: str = "books") -> list[str]:
        return [event.kind for event in self.events if event.service == service]

    def statuses(self, service: str = "books") -> set[str]:
        return {served.instance.status for served in self.proxy_service.route(service).instances}

    def serving(self, service: str = "books") -> set[int]:
        state = self.proxy_service.route(service)
        return {address.port for address in state.serving} if state else set()


@pytest.fixture
def mortal(start_consul):
    """A Consul of the test's own, which it may kill: its process."""
    url, process = start_consul()
    process.url = url
    return process


@pytest.fixture
def url(request, consul_url):
    """Of the registry: the test's own when it asked for one, else the shared one."""
    return request.getfixturevalue("mortal").url if "mortal" in request.fixturenames else consul_url


@pytest.fixture
async def registry(url):
    async with AsyncConsul(url) as registry:
        yield registry
        with contextlib.suppress(RegistryError):
            for identity in await registry.agent_services():
                await registry.deregister(identity)
            await registry.kv_delete("jenkins-proxy/", recurse=True)


@pytest.fixture
async def daemon(haproxy, url, registry, free_port, tmp_path):
    """``await daemon("name")`` is one that runs until the test ends; the same name again has the same folder."""
    running: list[Daemon] = []
    ports: dict[str, int] = {}

    async def start(name: str = "one", timing: Timing = DEFAULT) -> Daemon:
        port = ports.setdefault(name, free_port())
        running.append(await Daemon(url, tmp_path / name, port, timing).start())
        return running[-1]

    yield start
    for one in running:
        await one.stop()


@pytest.fixture
def enter(registry):
    """``await enter(origin)`` registers it as an instance of ``books``, with a check when a status is given."""

    async def register(origin, service: str = "books", status: str = "", host: str = "127.0.0.1") -> str:
        identity = f"{service}:{origin.address.port}"
        check = {"Check": {"CheckID": identity, "TTL": "10m", "Status": status}} if status else {}
        entry = {"ID": identity, "Name": service, "Address": host, "Port": origin.address.port}
        await registry.register({**entry, **check})
        return identity

    return register

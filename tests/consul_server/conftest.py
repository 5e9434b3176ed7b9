"""The registries that the same tests run against: a real Consul, and the embedded one in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import uuid

import pytest
import requests

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.consul_server.server import EmbeddedRegistry


class InThread:
    """An event loop in a thread: ``call(coroutine)`` runs it there and gives its result."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)
        self.loop.close()


@pytest.fixture(scope="session")
def embed():
    """``embed(state_file, …)`` starts an embedded registry, as ``EmbeddedRegistry`` does. All end with the session."""
    thread, started = InThread(), []

    def start(*args, port: int = 0, **options) -> EmbeddedRegistry:
        registry = EmbeddedRegistry(*args, **options)
        thread.call(registry.start("127.0.0.1", port))
        started.append(registry)
        return registry

    start.stop = lambda registry: thread.call(registry.stop())
    yield start
    for registry in started:
        thread.call(registry.stop())
    thread.close()


@pytest.fixture(scope="module")
def consul_url(consul_url, wait_for) -> str:
    """The shared Consul, once it has entered itself: a moment after it has a leader."""
    wait_for(lambda: requests.get(f"{consul_url}/v1/health/state/passing").json(), "Consul's own health")
    return consul_url


@pytest.fixture(scope="session")
def embedded_url(embed) -> str:
    """An embedded registry that tests share: take service names and keys of your own."""
    return embed().url


@pytest.fixture(
    params=[
        pytest.param("consul_url", id="consul"),
        pytest.param("embedded_url", id="embedded"),
    ]
)
def url(request) -> str:
    """A registry's address: each test runs once against a real Consul, and once against the embedded registry."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def consul(url):
    with Consul(url) as client:
        yield client


@pytest.fixture
async def aconsul(url):
    async with AsyncConsul(url) as client:
        yield client


@pytest.fixture
def name(consul):
    """A service name, ID or key of this test alone; what was registered with it as its ID's beginning is removed."""
    unique = f"r-{uuid.uuid4().hex[:8]}"
    yield unique
    for instance in consul.instances(unique)[0]:
        consul.deregister(instance.id)
    consul.kv_delete(unique, recurse=True)


@pytest.fixture
def aconsul_call(url):
    """``aconsul_call("update_check", …)`` makes one call of the async client in a test that is not async."""

    def call(method: str, *args):
        async def make():
            async with AsyncConsul(url) as client:
                return await getattr(client, method)(*args)

        return asyncio.run(make())

    return call

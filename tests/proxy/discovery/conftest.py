"""Many services in a real Consul of a test module's own, and a watcher of them that keeps what it reported."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.model import Instance
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.service_watcher import ServiceWatcher
from jenkins_proxy.proxy.events import Event, EventBus
from jenkins_proxy.proxy.reconcile.instances import Reading
from jenkins_proxy.proxy.timing import Timing


class Catalogue:
    """Writes entries of nodes that have no agent, in a registry of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def put(self, path: str, data: object) -> None:
        await asyncio.to_thread(self._put, path, data)

    def _put(self, path: str, data: object) -> None:
        request = urllib.request.Request(self.url + path, json.dumps(data).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200

    async def node(self, node: str, status: str = "") -> None:
        entry: dict[str, object] = {"Node": node, "Address": "10.0.0.1"}
        if status:
            entry["Check"] = {"CheckID": "serfHealth", "Name": "agent", "Status": status}
        await self.put("/v1/catalog/register", entry)

    async def enter(self, service: str, port: int, node: str, status: str = "") -> None:
        identity = f"{service}-{port}"
        entry = {
            "Node": node,
            "Address": "10.0.0.1",
            "Service": {"ID": identity, "Service": service, "Address": "10.0.0.1", "Port": port},
        }
        if status:
            entry["Check"] = {"CheckID": f"c-{identity}", "Name": "c", "ServiceID": identity, "Status": status}
        await self.put("/v1/catalog/register", entry)

    async def enter_many(self, services: list[str], node: str) -> None:
        entries = [
            {
                "Service": {
                    "Verb": "set",
                    "Node": node,
                    "Service": {"ID": f"{name}-1", "Service": name, "Address": "10.0.0.1", "Port": 1},
                }
            }
            for name in services
        ]
        for begin in range(0, len(entries), 60):
            await self.put("/v1/txn", entries[begin : begin + 60])

    async def leave(self, service: str, port: int, node: str) -> None:
        await self.put("/v1/catalog/deregister", {"Node": node, "ServiceID": f"{service}-{port}"})


class Told:
    """A watcher, and what it told last of each service."""

    def __init__(self, registry: AsyncConsul, tasks: TaskGroup, timing: Timing) -> None:
        self.last: dict[str, dict[int, str]] = {}
        self.readings: dict[str, tuple[Instance, ...]] = {}
        self.count = 0
        bus = EventBus()
        self._subscription = bus.subscribe()
        self._events: list[Event] = []
        tasks.start(self._listen())
        self.reachability = Reachability(bus)
        self.watcher = ServiceWatcher(registry, self.reachability, self.on_report, tasks=tasks, timing=timing)

    async def _listen(self) -> None:
        async for event in self._subscription:
            self._events.append(event)

    @property
    def events(self) -> list[str]:
        return [f"{event.kind}: {event.detail}" for event in self._events]

    def on_report(self, service: str, reading: Reading, notified_at: float) -> None:
        assert notified_at <= asyncio.get_running_loop().time()
        self.last[service] = {one.address.port: one.status for one in reading.instances}
        self.count += reading.instances != self.readings.get(service)
        self.readings[service] = reading.instances


@pytest.fixture
def catalogue_of():
    """``catalogue_of(url)`` is a :class:`Catalogue`."""
    return Catalogue


@pytest.fixture
def catalogue(own_consul):
    return Catalogue(own_consul[0])


@pytest.fixture
async def watching(own_consul, request):
    """``watching(services, connections)`` follows them until the test ends."""
    running: list[tuple[AsyncConsul, TaskGroup]] = []
    failures: list[BaseException] = []
    # What is found in time is found by a watch: the regular sweep never comes.
    timing = request.getfixturevalue("quick") if "quick" in request.fixturenames else Timing(sweep=3600.0)

    def start(services, connections: int, url: str = "", kind: type[AsyncConsul] = AsyncConsul, **options) -> Told:
        registry = kind(url or own_consul[0], connections=connections, **options)
        tasks = TaskGroup(lambda _name, error: failures.append(error))
        running.append((registry, tasks))
        told = Told(registry, tasks, timing)
        told.watcher.follow(services)
        return told

    yield start
    for registry, tasks in running:
        await tasks.cancel_all()
        await registry.close()
    assert failures == []


@pytest.fixture
def quick() -> Timing:
    """Quiet queries end soon, so that slots go over to others."""
    return Timing(blocking_query=0.3, sweep=3600.0)

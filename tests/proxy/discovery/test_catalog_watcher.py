"""Services without a watch of their own: what reports that they changed. The regular sweep never comes here."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import EndlessAnswer
from jenkins_proxy.model import CRITICAL, PASSING
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.catalog_watcher import EVERY, CatalogWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.timing import Timing

# With so many connections two services have a watch, and six nodes; one is Consul's own.
FEW = 25


class Counting(AsyncConsul):
    """:ivar swept: names that a sweep asked for. :ivar large: nodes whose answers are too long."""

    swept: list[str]
    large: frozenset[str] = frozenset()

    async def service_indexes(self, services, on_index):
        self.swept.extend(services)
        await super().service_indexes(services, on_index)

    async def node(self, name, **options):
        if name in self.large:
            raise EndlessAnswer("too long")
        return await super().node(name, **options)


@pytest.fixture
async def spread(catalogue, watching, wait_until):
    """``spread(nodes, large)``: twelve services on so many nodes, followed; gives registry, reports and sweeps."""

    used: set[str] = set()

    async def start(nodes: int, large: frozenset[str] = frozenset()):
        class Kind(Counting):
            swept: list[str] = []

        Kind.large = large
        used.update(f"n{number}" for number in range(nodes))
        for number in range(12):
            await catalogue.enter(f"web-{number}", 1, f"n{number % nodes}")
        told = watching([f"web-{number}" for number in range(12)], FEW, catalogue.url, Kind)
        await wait_until(lambda: len(told.last) == 12)
        await quiet(Kind.swept)
        return told, Kind.swept

    yield start
    for node in used:
        await catalogue.put("/v1/catalog/deregister", {"Node": node})


async def quiet(swept: list[str]) -> None:
    """Wait until the sweeps of the start are over."""
    before = -1
    while before != len(swept):
        before = len(swept)
        await asyncio.sleep(0.5)
    swept.clear()


async def test_where_each_node_has_a_watch_nothing_is_swept(spread, catalogue, wait_until):
    told, swept = await spread(3)
    # Whatever the names' watch had asked before the nodes' began is answered with this.
    await catalogue.enter("web-0", 2, "n0")
    await quiet(swept)

    for number in range(12):
        await catalogue.enter(f"web-{number}", 3, f"n{number % 3}")
    await wait_until(lambda: all(ports.get(3) == PASSING for ports in told.last.values()))
    for number in range(12):
        await catalogue.leave(f"web-{number}", 3, f"n{number % 3}")
    await wait_until(lambda: all(3 not in ports for ports in told.last.values()))
    await catalogue.enter("web-5", 1, "n2", CRITICAL)
    await wait_until(lambda: told.last["web-5"] == {1: CRITICAL})
    assert swept == []


async def test_a_node_that_joins_is_watched_and_one_that_goes_is_not(spread, catalogue, wait_until):
    told, _swept = await spread(2)
    await catalogue.enter("web-1", 4, "late")
    await wait_until(lambda: told.last["web-1"] == {1: PASSING, 4: PASSING})
    await catalogue.enter("web-2", 4, "late")
    await wait_until(lambda: told.last["web-2"] == {1: PASSING, 4: PASSING})

    await catalogue.put("/v1/catalog/deregister", {"Node": "late"})
    await wait_until(lambda: told.last["web-1"] == told.last["web-2"] == {1: PASSING})
    await catalogue.enter("web-3", 4, "late")
    await wait_until(lambda: told.last["web-3"] == {1: PASSING, 4: PASSING})
    await catalogue.put("/v1/catalog/deregister", {"Node": "late"})


@pytest.mark.parametrize(("nodes", "large"), [(12, frozenset()), (2, frozenset({"n0"}))], ids=["many", "large"])
async def test_a_node_without_a_watch_is_swept(spread, catalogue, wait_until, nodes, large):
    told, swept = await spread(nodes, large)
    for number in range(12):
        await catalogue.enter(f"web-{number}", 3, f"n{number % nodes}")
    await wait_until(lambda: all(ports.get(3) == PASSING for ports in told.last.values()))
    assert swept


async def test_a_node_that_moves_takes_its_entries_with_it(spread, catalogue, wait_until):
    told, _swept = await spread(2)
    entry = {"Node": "n0", "Address": "10.0.0.1", "Service": {"ID": "bare", "Service": "web-4", "Port": 9}}
    await catalogue.put("/v1/catalog/register", entry)
    await wait_until(lambda: told.last["web-4"] == {1: PASSING, 9: PASSING})
    count = told.count
    await catalogue.put("/v1/catalog/register", {"Node": "n0", "Address": "10.0.0.2"})
    await wait_until(lambda: told.count > count)


async def test_the_proxys_policy_is_enough(guarded_consul, tasks, wait_until):
    def enter(service: str, port: int, node: str) -> None:
        entry = {"ID": f"{service}-{port}", "Service": service, "Port": port}
        guarded_consul.ask("PUT", "/v1/catalog/register", {"Node": node, "Address": "10.0.0.1", "Service": entry})

    guarded_consul.ask("PUT", "/v1/acl/policy", {"Name": "proxy", "Rules": rights.policy(rights.PROXY)})
    token = guarded_consul.ask("PUT", "/v1/acl/token", {"Policies": [{"Name": "proxy"}]})["SecretID"]
    reports, context = [], guarded_consul.certificate.context
    async with AsyncConsul(guarded_consul.url, token, tls=context) as registry:
        for number in range(4):
            enter(f"web-{number}", 1, f"n{number % 2}")
        watcher = CatalogWatcher(registry, Reachability(EventBus()), reports.append, tasks=tasks, max_nodes=9)
        watcher.watch_nodes()
        await wait_until(lambda: {"web-0", "web-2"} in reports and {"web-1", "web-3"} in reports)
        reports.clear()
        await asyncio.to_thread(enter, "web-3", 2, "n1")
        await wait_until(lambda: reports == [{"web-3"}])
        await tasks.cancel_all()


@pytest.fixture
async def tasks():
    failures: list[BaseException] = []
    group = TaskGroup(lambda _name, error: failures.append(error))
    yield group
    await group.cancel_all()
    assert failures == []


class Registry:
    """Answers of a registry, given one by one. :ivar nodes: of the watch of nodes. :ivar on: of each node's."""

    def __init__(self) -> None:
        self.nodes_, self.on = asyncio.Queue(), {}

    async def nodes(self, **_options):
        return await self.nodes_.get(), 1

    async def node(self, name, **_options):
        return await self.on.setdefault(name, asyncio.Queue()).get(), 1

    def answer(self, node: str, *services: str, index: int = 1) -> None:
        self.on.setdefault(node, asyncio.Queue()).put_nowait({name: (1, index) for name in services})


async def test_a_node_tells_what_changed_by_name_unless_it_is_much(tasks, wait_until):
    reports, registry = [], Registry()
    watcher = CatalogWatcher(registry, Reachability(EventBus()), reports.append, tasks=tasks, max_nodes=1)
    watcher.watch_nodes()
    registry.nodes_.put_nowait(["a", "b"])
    registry.answer("a", "web", "api")
    registry.answer("a", "web", "api")
    registry.answer("a", "web")
    registry.answer("a", "web", index=2)
    registry.answer("a", "web", *(f"more-{number}" for number in range(200)), index=2)
    registry.answer("b", "never asked")
    await wait_until(lambda: len(reports) == 4)
    assert reports == [{"web", "api"}, {"api"}, {"web"}, EVERY]


async def test_a_regular_sweep_finds_what_all_watches_missed(tasks, wait_until):
    reports = []

    class Silent:
        async def watch_services(self, *_args, **_options):
            await asyncio.Event().wait()

        health_state = watch_services

    timing = Timing(sweep=0.01)
    watcher = CatalogWatcher(
        Silent(),
        Reachability(EventBus()),
        reports.append,
        tasks=tasks,
        max_nodes=1,
        timing=timing,
    )
    watcher.start()
    await wait_until(lambda: reports == [EVERY, EVERY], seconds=5)

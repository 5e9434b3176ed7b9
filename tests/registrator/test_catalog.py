"""What the registrator says of entries that its registry's agent has, and the catalog has not."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.clients.consul.models import Node
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.registrator.catalog import CatalogWatch, complaint, missing
from jenkins_proxy.registrator.sync import Timing

AGENT = Node("node-1", "new-id")
TIMING = Timing()


def catalog(node_id: str, *entries: str) -> Node:
    return Node("node-1", node_id, frozenset(entries))


@pytest.mark.parametrize(
    ("agent", "there", "lacks"),
    [
        pytest.param(AGENT, catalog("new-id", "a", "b", "other"), set(), id="all there"),
        pytest.param(AGENT, catalog("NEW-ID", "a", "b"), set(), id="an ID in capitals"),
        pytest.param(AGENT, catalog("new-id", "a"), {"b"}, id="one not there"),
        pytest.param(AGENT, catalog("old-id", "a", "b"), {"a", "b"}, id="another node's entries of these IDs"),
        pytest.param(AGENT, catalog("", "a", "b"), set(), id="a catalog without IDs"),
        pytest.param(Node("node-1", ""), catalog("old-id", "a", "b"), set(), id="an agent without an ID"),
        pytest.param(AGENT, None, set(), id="a node that is not seen"),
    ],
)
def test_what_the_catalog_lacks(agent, there, lacks):
    assert missing(agent, there, frozenset("ab")) == lacks


@pytest.mark.parametrize(
    ("there", "waiting", "says"),
    [
        (catalog("new-id"), {}, ""),
        (catalog("old-id"), {}, ""),
        (catalog("old-id"), {"a": TIMING.catalog_within - 1}, ""),
        (
            catalog("old-id"),
            {"a": TIMING.catalog_within},
            "has the node ID new-id, and the catalog keeps that name for old-id",
        ),
        (catalog("new-id"), {"a": TIMING.catalog_resync - 1}, ""),
        (
            catalog("new-id"),
            {"c": TIMING.catalog_resync, "b": TIMING.catalog_resync, "a": 1.0},
            "3 entries are at the Consul agent of node-1, and not in the catalog, where others look: b, for example",
        ),
    ],
)
def test_what_is_said(there, waiting, says):
    said = complaint(AGENT, there, waiting, TIMING)
    assert bool(said) is bool(says)
    assert says in (said or ("",))[0]


def test_the_next_step_names_both_ways_out():
    _, hint = complaint(AGENT, catalog("old-id"), {"a": TIMING.catalog_within}, TIMING)
    assert """/v1/catalog/deregister -d '{"Node": "node-1"}'""" in hint
    assert "-node-id old-id" in hint


class Registry:
    """An agent whose servers do, or do not, take what it has."""

    def __init__(self) -> None:
        self.own, self.there = AGENT, catalog("new-id")
        self.error: RegistryError | None = None
        self.asked = 0

    async def agent_node(self) -> Node:
        self.asked += 1
        if self.error:
            raise self.error
        return self.own

    async def catalog_node(self, name: str) -> Node:
        assert name == self.own.name
        return self.there


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_fault_is_said_once_and_its_end_too(log):
    registry, clock, entries = Registry(), Clock(), {"a"}
    watch = CatalogWatch(registry, lambda: entries, TIMING, clock)

    async def looked(node_id: str, *there: str) -> int:
        registry.there = catalog(node_id, *there)
        clock.now += TIMING.catalog_within
        await watch.look()
        return len(log.lines)

    assert await looked("new-id", "a") == 0
    assert await looked("old-id", "a") == 0, "it may have come just now"
    assert [await looked("old-id", "a") for _ in range(3)] == [1, 1, 1]
    entries.add("b")
    assert await looked("old-id", "a") == 1
    assert await looked("new-id", "a") == 1, "not all is there yet"
    assert await looked("new-id", "a", "b") == 2
    assert log.lines[1] == "the catalog has this host's entries now"
    assert [await looked("old-id") for _ in range(3)] == [2, 3, 3], "again, after it was well"


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (RegistryRefused("the registry refused", status=403), True),
        (RegistryRefused("no cluster leader", status=500), False),
        (RegistryError("no registry answers"), False),
    ],
)
async def test_where_it_may_not_look_it_ends_and_otherwise_it_goes_on(error, ends, until):
    registry = Registry()
    registry.error = error
    timing = Timing(catalog_within=0.001, compare_every=0.001)
    task = asyncio.ensure_future(CatalogWatch(registry, lambda: {"a"}, timing).run())

    async def asked() -> bool:
        return task.done() if ends else registry.asked > 3

    await until(asked, "the looks")
    assert task.done() is ends
    assert registry.asked == 1 or not ends
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("entries", "often"), [(["a"], False), (["a", "b"], True)])
async def test_between_new_entries_it_asks_seldom(entries, often):
    registry = Registry()
    registry.there = catalog("new-id", "a")
    timing = Timing(catalog_within=0.001, compare_every=60.0)
    watch = CatalogWatch(registry, lambda: entries, timing)
    await watch.look()
    task = asyncio.ensure_future(watch.run())
    for _ in range(30):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (registry.asked > 1) is often

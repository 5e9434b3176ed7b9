"""Instances of many services followed within a number of connections, on a real Consul with its default limits."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.model import CRITICAL, PASSING

ESTABLISHED = "01"


def connections_to(url: str) -> int:
    """How many this machine has open to a registry."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == ESTABLISHED for row in rows)


async def test_each_service_is_told_at_first_and_after_each_change(catalogue, watching, wait_until):
    await catalogue.enter("few-a", 1, "n1")
    told = watching(["few-a", "few-none"], 100)
    await wait_until(lambda: told.last == {"few-a": {1: PASSING}, "few-none": {}})
    await catalogue.enter("few-a", 2, "n1")
    await wait_until(lambda: told.last["few-a"] == {1: PASSING, 2: PASSING})
    await catalogue.enter("few-a", 2, "n1", CRITICAL)
    await wait_until(lambda: told.last["few-a"] == {1: PASSING, 2: CRITICAL})
    await catalogue.leave("few-a", 1, "n1")
    await wait_until(lambda: told.last["few-a"] == {2: CRITICAL})
    await catalogue.enter("few-none", 7, "n2")
    await wait_until(lambda: told.last["few-none"] == {7: PASSING})


async def test_what_is_followed_no_longer_is_not_told_any_more(catalogue, watching, wait_until):
    await catalogue.enter("gone-a", 1, "n1")
    told = watching(["gone-a", "gone-b"], 100)
    await wait_until(lambda: len(told.last) == 2)
    told.watcher.follow(["gone-b"])
    await catalogue.enter("gone-a", 2, "n1")
    await catalogue.enter("gone-b", 2, "n1")
    await wait_until(lambda: told.last["gone-b"] == {2: PASSING})
    assert told.last["gone-a"] == {1: PASSING}
    told.watcher.follow(["gone-a", "gone-b"])
    await wait_until(lambda: told.last["gone-a"] == {1: PASSING, 2: PASSING})
    assert told.watcher._waiting == set()


async def test_a_thousand_services_leave_the_others_on_this_machine_their_connections(catalogue, watching, wait_until):
    services = [f"many-{number}" for number in range(1000)]
    await catalogue.node("n3")
    await catalogue.enter_many(services, "n3")
    told = watching(services, 100)
    await wait_until(lambda: len(told.last) == 1000, seconds=60)
    assert connections_to(catalogue.url) <= 100
    for number in random.Random(1).sample(range(1000), 40):
        # Each call is a connection of its own: Consul refuses the 201st of this address.
        await catalogue.enter(f"many-{number}", 2, "n3")
        await wait_until(lambda number=number: told.last[f"many-{number}"] == {1: PASSING, 2: PASSING})
    assert connections_to(catalogue.url) <= 100
    assert told.events == []


async def test_by_https_a_thousand_services_have_a_watch_each(guarded_consul, watching, wait_until):
    services = [f"https-{number}" for number in range(1000)]
    entries = [
        {"Service": {"Verb": "set", "Node": "n1", "Service": {"ID": name, "Service": name, "Port": 1}}}
        for name in services
    ]
    guarded_consul.ask("PUT", "/v1/catalog/register", {"Node": "n1", "Address": "10.0.0.1"})
    for begin in range(0, 1000, 60):
        guarded_consul.ask("PUT", "/v1/txn", entries[begin : begin + 60])
    told = watching(services, 100, guarded_consul.url, token="root", tls=guarded_consul.certificate.context)
    await wait_until(lambda: len(told.last) == 1000, seconds=60)
    assert (len(told.watcher._slotted), told.watcher._waiting) == (1000, set())
    assert connections_to(guarded_consul.url) <= 10
    for number in random.Random(1).sample(range(1000), 40):
        entry = {"ID": f"more-{number}", "Service": f"https-{number}", "Port": 2}
        await asyncio.to_thread(
            guarded_consul.ask,
            "PUT",
            "/v1/catalog/register",
            {"Node": "n1", "Address": "10.0.0.1", "Service": entry},
        )
        await wait_until(lambda number=number: told.last[f"https-{number}"] == {1: PASSING, 2: PASSING})
    assert told.events == []


@pytest.mark.parametrize("connections", [18, 60])
async def test_services_without_a_slot_are_told_of_checks_and_nodes(catalogue, watching, wait_until, connections):
    services = [f"shared-{connections}-{number}" for number in range(50)]
    await catalogue.node("n4", PASSING)
    await catalogue.enter_many(services, "n4")
    told = watching(services, connections)
    await wait_until(lambda: len(told.last) == 50)
    for name in services:
        await catalogue.enter(name, 1, "n4", CRITICAL)
    await wait_until(lambda: all(told.last[name] == {1: CRITICAL} for name in services))
    for name in services:
        await catalogue.enter(name, 1, "n4", PASSING)
    await wait_until(lambda: all(told.last[name] == {1: PASSING} for name in services))
    await catalogue.node("n4", CRITICAL)
    await wait_until(lambda: all(told.last[name] == {1: CRITICAL} for name in services))


async def test_nodes_that_go_take_their_services_with_them(catalogue, watching, wait_until):
    services = [f"spread-{number}" for number in range(30)]
    for number, name in enumerate(services):
        await catalogue.enter(name, 1, f"spread-node-{number}")
    told = watching(services, 18)
    await wait_until(lambda: len(told.last) == 30)
    for number, name in enumerate(services):
        await catalogue.enter(name, 2, f"spread-node-{number}")
    await wait_until(lambda: all(told.last[name] == {1: PASSING, 2: PASSING} for name in services))
    for number in range(30):
        await catalogue.put("/v1/catalog/deregister", {"Node": f"spread-node-{number}"})
    await wait_until(lambda: all(told.last[name] == {} for name in services))


async def test_a_slot_goes_over_to_a_service_that_changed_more_recently(quick, catalogue, watching, wait_until):
    services = [f"turn-{number}" for number in range(30)]
    await catalogue.enter_many(services, "n1")
    told = watching(services, 18)
    await wait_until(lambda: len(told.last) == 30)
    late = sorted(told.watcher._waiting)[0]
    await catalogue.enter(late, 2, "n1")
    await wait_until(lambda: late not in told.watcher._waiting)
    await catalogue.enter(late, 3, "n1")
    await wait_until(lambda: set(told.last[late]) == {1, 2, 3})


async def test_what_changes_just_after_it_was_asked_is_asked_again(catalogue, watching, wait_until):
    services = [f"moved-{number}" for number in range(20)]
    await catalogue.node("n5")
    await catalogue.enter_many(services, "n5")
    changes = []

    class Moving(AsyncConsul):
        async def service_indexes(self, services, told):
            await super().service_indexes(services, told)
            if changes:
                await catalogue.enter(*changes.pop(), "n5")
                await asyncio.sleep(0.3)  # the registry tells of the change before the sweep has ended

    told = watching(services, 18, kind=Moving)
    await wait_until(lambda: len(told.last) == 20)
    await asyncio.sleep(0.3)  # no sweep is under way
    changes.append((services[-1], 2))
    await catalogue.enter(services[-2], 2, "n5")
    await wait_until(lambda: set(told.last[services[-1]]) == {1, 2})


class Held(AsyncConsul):
    """Readings and watches that wait until they are let go.

    :ivar read: an answered reading that waits, by its service. :ivar watch: what the next of these watches wait for.
    """

    read: dict[str, asyncio.Event]
    watch: dict[str, asyncio.Event]

    async def instances(self, service, **options):
        answer = await super().instances(service, **options)
        if not options and service in self.read:
            await self.read.pop(service).wait()
        return answer

    async def node(self, name, **options):
        await self._wait(name)
        return await super().node(name, **options)

    async def health_state(self, state, **options):
        await self._wait(state)
        return await super().health_state(state, **options)

    async def _wait(self, watch: str) -> None:
        if watch in self.watch:
            await self.watch[watch].wait()


@pytest.fixture
def held():
    """A class of registries that hold nothing yet."""

    class Kind(Held):
        read: dict[str, asyncio.Event] = {}
        watch: dict[str, asyncio.Event] = {}

    return Kind


async def test_of_two_readings_the_older_is_not_told_last(catalogue, watching, wait_until, held):
    services = [f"order-{number}" for number in range(40)]
    await catalogue.node("n8")
    await catalogue.enter_many(services, "n8")
    told = watching(services, 45, kind=held)
    await wait_until(lambda: len(told.last) == 40)
    late = sorted(told.watcher._waiting)[0]
    let_go = held.read[late] = asyncio.Event()
    await catalogue.enter(late, 2, "n8")
    await wait_until(lambda: not held.read)
    await catalogue.enter(late, 3, "n8")
    await asyncio.sleep(0.3)  # another reader could read it meanwhile
    let_go.set()
    await wait_until(lambda: set(told.last[late]) == {1, 2, 3})
    await asyncio.sleep(0.1)
    assert set(told.last[late]) == {1, 2, 3}


@pytest.mark.parametrize("reading", ["told before the answer", "told after the answer"])
@pytest.mark.parametrize("what", ["entry", "check", "check of a node"])
async def test_what_comes_and_goes_between_two_answers_is_not_kept(
    catalogue, watching, wait_until, held, what, reading, free_port
):
    unique = str(free_port())
    services, near, far = [f"brief-{unique}-{number}" for number in range(40)], f"near-{unique}", f"far-{unique}"
    await catalogue.node(near)
    await catalogue.node(far, PASSING)
    await catalogue.enter_many(services, near)
    told = watching(services, 45, kind=held)
    await wait_until(lambda: len(told.last) == 40)
    await asyncio.sleep(0.3)  # no reading of the start is under way
    late, other = sorted(told.watcher._waiting)[:2]
    await catalogue.enter(late, 2, far)
    await wait_until(lambda: told.last[late] == {1: PASSING, 2: PASSING})

    # The watch of what will come and go answers once more, and then waits.
    watch = far if what == "entry" else CRITICAL
    answer = held.watch[watch] = asyncio.Event()
    await catalogue.enter(other, 5, far, CRITICAL)
    await wait_until(lambda: told.last[other].get(5) == CRITICAL)
    if what == "entry":
        await catalogue.enter(late, 9, far)
    elif what == "check":
        await catalogue.enter(late, 2, far, CRITICAL)
    else:
        await catalogue.node(far, CRITICAL)
    # Read for another reason.
    let_go = held.read[late] = asyncio.Event()
    await catalogue.enter(late, 8, near)
    await wait_until(lambda: not held.read)
    if reading == "told before the answer":
        let_go.set()
        await wait_until(lambda: 8 in told.last[late] and told.last[late] != {1: PASSING, 2: PASSING, 8: PASSING})
    if what == "entry":
        await catalogue.leave(late, 9, far)
    elif what == "check":
        await catalogue.enter(late, 2, far, PASSING)
    else:
        await catalogue.node(far, PASSING)
    # And something else, so that the watch has an answer whatever came and went.
    await catalogue.enter(other, 5, far, PASSING)
    await catalogue.enter(other, 6, far, CRITICAL)
    answer.set()
    await wait_until(lambda: told.last[other].get(6) == CRITICAL)
    let_go.set()
    await wait_until(lambda: told.last[late] == {1: PASSING, 2: PASSING, 8: PASSING})
    for node in (near, far):
        await catalogue.put("/v1/catalog/deregister", {"Node": node})


@pytest.mark.parametrize("connections", [18, 45])
async def test_after_a_storm_what_was_told_last_is_what_is(quick, catalogue, watching, wait_until, connections):
    chance = random.Random(connections)
    services = [f"storm-{number}" for number in range(40)]
    told = watching(services, connections)
    expected: dict[str, set[int]] = {name: set() for name in services}

    async def stir(name: str) -> None:
        for _ in range(6):
            port = chance.randint(1, 3)
            if port in expected[name]:
                expected[name].discard(port)
                await catalogue.leave(name, port, f"n{port}")
            else:
                expected[name].add(port)
                await catalogue.enter(name, port, f"n{port}")

    for begin in range(0, 40, 8):
        await asyncio.gather(*map(stir, services[begin : begin + 8]))
    await wait_until(lambda: {name: set(ports) for name, ports in told.last.items()} == expected)
    for name in services:
        for port in expected[name]:
            await catalogue.leave(name, port, f"n{port}")


async def test_a_registry_that_goes_away_is_told_once_and_followed_again_when_it_is_back(
    start_consul, catalogue_of, watching, wait_until
):
    url, process = start_consul()
    catalogue = catalogue_of(url)
    await catalogue.enter("away-a", 1, "n1")
    told = watching(["away-a"], 100, url)
    await wait_until(lambda: told.last)
    process.kill()
    await wait_until(lambda: told.events)
    assert told.events[0].startswith("registry-lost: no registry answers at")
    assert told.reachability.lost_since
    again = await asyncio.create_subprocess_exec(
        *process.args, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_until(lambda: told.events[1:] == ["registry-back: "])
        assert told.reachability.lost_since is None
        await catalogue.enter("away-a", 9, "n1")
        # Its index began anew, below the one that was known.
        await wait_until(lambda: told.last["away-a"] == {9: PASSING})
    finally:
        again.terminate()
        await again.wait()

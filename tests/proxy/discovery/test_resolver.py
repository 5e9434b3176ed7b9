"""Look-ups of host names, with a name server that can be made to fail."""

from __future__ import annotations

import asyncio
import socket

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.discovery.resolver import Resolver
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing


class Queue:
    """Stands in for the reconcile loop: notes what is enqueued."""

    def __init__(self) -> None:
        self.enqueued: list[list[str]] = []
        self.changed = asyncio.Event()

    def enqueue(self, services) -> None:
        self.enqueued.append(list(services))
        self.changed.set()


@pytest.fixture
def desired() -> DesiredState:
    return DesiredState(StoredRoutes({"books": StoredRoute(Route("books", ("/",)), 1)}), {}, {})


@pytest.fixture
async def queue() -> Queue:
    return Queue()


@pytest.fixture
def server(monkeypatch):
    """What the name server knows; an empty one is away."""
    answers: dict[str, list[str]] = {}

    async def look_up(_loop, host, _port, **_options):
        if host not in answers:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in answers[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    return answers


async def test_a_name_is_all_its_addresses_once_it_is_looked_up(server, desired, queue):
    server["a.local"] = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    resolver = Resolver(desired, queue)
    assert desired.hosts.resolve(Address("a.local", 80)) == ()
    await resolver.lookup([Address("a.local", 80), Address("10.9.9.9", 80)])
    assert desired.hosts.resolve(Address("a.local", 80)) == (Address("10.0.0.1", 80), Address("10.0.0.2", 80))
    await resolver.lookup([Address("a.local", 81)])
    assert queue.enqueued == [["books"]]


@pytest.mark.parametrize("host", ["fe80::1%eth0", "fe80::1%x\nshow info"])
async def test_a_zone_is_no_address_whatever_the_name_server_says(server, desired, queue, host):
    server[host] = [host]
    await Resolver(desired, queue).lookup([Address(host, 80)])
    assert desired.hosts.resolve(Address(host, 80)) == ()


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".local"])
async def test_what_can_be_no_name_has_no_address(desired, queue, host):
    # Asked of the real resolver: it is Python's own IDNA that refuses them.
    await Resolver(desired, queue).lookup([Address(host, 80)])
    assert desired.hosts.resolve(Address(host, 80)) == ()
    assert desired.hosts.names == (host,)


async def test_a_name_follows_its_server_and_keeps_its_addresses_while_that_is_away(server, desired, queue):
    resolver = Resolver(desired, queue, Timing(dns_refresh=0.0))
    server["a.local"] = ["10.0.0.1"]
    await resolver.lookup([Address("a.local", 80)])
    queue.changed.clear()
    refreshing = asyncio.create_task(resolver.run())
    del server["a.local"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert desired.hosts.resolve(Address("a.local", 80)) == (Address("10.0.0.1", 80),)
    server["a.local"] = ["10.0.0.7"]
    await queue.changed.wait()
    assert desired.hosts.resolve(Address("a.local", 80)) == (Address("10.0.0.7", 80),)
    refreshing.cancel()
    await asyncio.wait([refreshing])

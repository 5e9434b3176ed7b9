"""Host names as numeric addresses, with a name server that can be made to fail."""

from __future__ import annotations

import asyncio
import socket

import pytest

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.discovery import resolver
from jenkins_proxy.proxy.discovery.resolver import Resolver


@pytest.fixture
def server(monkeypatch):
    """What the name server knows; an empty one is away."""
    known: dict[str, list[str]] = {}

    async def look_up(_loop, host, _port, **_options):
        if host not in known:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in known[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    return known


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "2001:db8::1"])
def test_a_number_is_itself(host):
    assert Resolver(lambda: None).resolve(Address(host, 80)) == (Address(host, 80),)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("10.0.0.1", 0),
        ("10.0.0.1", -1),
        ("10.0.0.1", 65536),
        ("fe80::1%eth0", 80),
        ("fe80::1%x\nshow info", 80),
    ],
)
async def test_what_no_server_can_be_is_none(server, host, port):
    server[host] = [host]
    known = Resolver(lambda: None)
    await known.lookup([Address(host, port)])
    assert known.resolve(Address(host, port)) == ()


async def test_a_name_is_all_its_addresses_once_it_is_learnt(server):
    server["a.local"] = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    changes: list[bool] = []
    known = Resolver(lambda: changes.append(True))
    assert known.resolve(Address("a.local", 80)) == ()
    assert await known.lookup([Address("a.local", 80), Address("10.9.9.9", 80)])
    assert known.resolve(Address("a.local", 80)) == (Address("10.0.0.1", 80), Address("10.0.0.2", 80))
    assert not await known.lookup([Address("a.local", 81)])
    assert changes == [True]


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".local"])
async def test_what_can_be_no_name_has_no_address(host):
    # Asked of the real resolver: it is Python's own IDNA that refuses them.
    known = Resolver(lambda: None)
    assert await known.lookup([Address(host, 80)])
    assert known.resolve(Address(host, 80)) == ()


async def test_a_name_follows_its_server_and_keeps_its_addresses_while_that_is_away(server, monkeypatch):
    monkeypatch.setattr(resolver, "_REFRESH", 0.0)
    changed = asyncio.Event()
    known = Resolver(changed.set)
    server["a.local"] = ["10.0.0.1"]
    await known.lookup([Address("a.local", 80)])
    changed.clear()
    refreshing = asyncio.create_task(known.refresh())
    del server["a.local"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert known.resolve(Address("a.local", 80)) == (Address("10.0.0.1", 80),)
    server["a.local"] = ["10.0.0.7"]
    await changed.wait()
    assert known.resolve(Address("a.local", 80)) == (Address("10.0.0.7", 80),)
    refreshing.cancel()
    await asyncio.wait([refreshing])

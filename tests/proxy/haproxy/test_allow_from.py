"""Whom the networks of a route let in: one running HAProxy, asked from several addresses of IPv4 and IPv6."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.route_options.table import check_route

V4, OTHER, V6, MAPPED = "127.0.0.1", "127.0.0.9", "::1", "by IPv4 at an address of IPv6"
NETWORKS = {
    "127.0.0.1": {V4, MAPPED},
    "127.0.0.0/29": {V4, MAPPED},
    "127.0.0.0/255.255.255.0": {V4, OTHER, MAPPED},
    # As routers write it. HAProxy would take it for the bits that have to be equal.
    "127.0.0.0/0.0.0.7": {V4, MAPPED},
    "127.0.0.9/32": {OTHER},
    "0.0.0.0/0": {V4, OTHER, MAPPED},
    "::1": {V6},
    "::1/128": {V6},
    "0:0:0:0:0:0:0:1": {V6},
    "::/64": {V6, V4, OTHER, MAPPED},
    "2001:db8::/32": set(),
    "::ffff:127.0.0.1": {V4, MAPPED},
    "::ffff:127.0.0.0/120": {V4, OTHER, MAPPED},
    "::FFFF:7f00:9": {OTHER},
}


@pytest.mark.usefixtures("haproxy")
async def test_each_network_lets_its_own_in_and_nobody_else(free_port, origin, tmp_path):
    port, both = free_port(), free_port()
    options = Options(binds=(f"127.0.0.1:{port}", f"[::1]:{port}", f"[::]:{both}"))
    address = (await origin("books")).address
    routes = [Route(f"s{at}", (f"/{at}/",), allow_from=(network,)) for at, network in enumerate(NETWORKS)]
    for route in routes:
        check_route(route)
    # Several together, of both kinds.
    routes.append(Route("several", ("/several/",), allow_from=("::1", "10.0.0.0/8", "127.0.0.9")))
    child = HAProxy(options, tmp_path / "run")
    await child.start(render([Backend.serving(route, [address]) for route in routes], options, 1), 1, "the-key")

    async def let_in(path: str) -> set[str]:
        statuses = await asyncio.gather(
            asked("127.0.0.1", port, path, V4), asked("127.0.0.1", port, path, OTHER),
            asked("::1", port, path, V6), asked("127.0.0.1", both, path, V4),
        )  # fmt: skip
        assert set(statuses) <= {200, 403}
        return {who for who, status in zip((V4, OTHER, V6, MAPPED), statuses, strict=True) if status == 200}

    try:
        found = {network: await let_in(f"/{at}/x") for at, network in enumerate(NETWORKS)}
        assert found == NETWORKS
        assert await let_in("/several/x") == {V6, OTHER}
    finally:
        await child.stop()


async def asked(host: str, port: int, path: str, source: str) -> int:
    """The status of an answer to a request from this address."""
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("10.0.0.1/8", "it must be the network's own address: 10.0.0.0/8"),
        ("2001:db8::1/32", "it must be the network's own address: 2001:db8::/32"),
        ("::ffff:10.1.2.3/120", "it must be the network's own address: ::ffff:a01:200/120"),
        *(
            (wrong, "it must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an address")
            for wrong in (
                *("10.0.0.0/33", "::/129", "::/-1", "[::1]", "fe80::1%lo", "::ffff:256.1.1.1", "1:2:3:4:5:6:7:8:9", ""),
                *("10", "10.0.0", "010.0.0.1", "0x7f000001", "10.0.0.1-9", "10.0.0.0/8 or TRUE", "-f /etc/passwd"),
                *("::1\n", "10.0.0.0/8,10.1.0.0/16", "\u0663.1.1.1", "localhost", "*", "all", "!10.0.0.0/8"),
            )
        ),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(network: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_route(Route("s", ("/a",), allow_from=(network,)))
    assert caught.value.message.startswith("allow_from ")
    assert caught.value.message.endswith(says)
    assert "\n" not in caught.value.message

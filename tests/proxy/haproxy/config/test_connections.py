"""Routes of connections: which name in TLS leads where, and a running HAProxy with one of each kind."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config import route_keys, route_table
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.route_options.table import check_route


def sni(service: str, *domains: str, port: str = "443") -> Route:
    return Route(service, domains=domains, req_mode="sni", src_port=port)


def tcp(service: str, port: str = "443") -> Route:
    return Route(service, req_mode="tcp", src_port=port)


def test_the_more_specific_name_is_looked_for_first():
    routes = [tcp("rest"), sni("wild", "*.b.org"), sni("deep", "x.a.org"), sni("one", "A.org"), tcp("other", "25")]
    assert route_table.connections(routes, "443") == [
        ("x.a.org", "deep-be"), ("a.org", "one-be"), (".x.a.org", "deep-be"), (".a.org", "one-be"),
        (".b.org", "wild-be"), ("", "rest-be"),
    ]  # fmt: skip
    assert route_table.connections(routes, "26") == []


def test_a_name_may_be_meant_without_those_below_it():
    exact = dataclasses.replace(sni("exact", "a.org", "*.c.org"), domain_algo="req.ssl_sni")
    check_route(exact)
    assert route_table.connections([exact], "443") == [("a.org", "exact-be"), (".c.org", "exact-be")]


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        (tcp("a"), tcp("b"), ("", "443")),
        (tcp("a"), tcp("b", "444"), None),
        (tcp("a"), sni("b", "b.org"), None),
        (sni("a", "a.org", "c.org"), sni("b", "b.org", "C.org"), (".c.org", "443")),
        (sni("a", "a.org"), sni("b", "*.a.org"), (".a.org", "443")),
        (tcp("a"), Route("b", ("/",), src_port="443"), None),
    ],
)
def test_one_service_has_a_port_or_a_name_at_it(one, other, where):
    found = route_keys.conflict(one, [other])
    assert (found and (found[0].domain, found[0].path)) == where


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (Route("a", req_mode="tcp"), "req_mode tcp is given without src_port"),
        (Route("a", req_mode="sni", src_port="443"), "req_mode sni is given without domains"),
        (Route("a", ("/",), req_mode="tcp", src_port="1"), "req_mode tcp goes without paths"),
        (Route("a", (), ("a.org",), req_mode="tcp", src_port="1"), "req_mode tcp goes without domains"),
        (Route("a", req_mode="tcp", src_port="1", https_only=True), "req_mode tcp goes without https_only"),
        (Route("a", domains=("a.org",), domain_algo="req.ssl_sni"), "domain_algo req.ssl_sni is for req_mode sni"),
        (Route("a", req_mode="tcp", src_port="1", domain_algo="req.ssl_sni"), "req_mode tcp goes without domain_algo"),
        (Route("a", req_mode="tcp", src_port="0"), "src_port '0' is not allowed"),
        (Route("a", req_mode="udp", src_port="1"), "req_mode 'udp' is not allowed: it must be http, tcp, sni"),
    ],
)
def test_a_connection_is_no_request(route, says):
    with pytest.raises(UsageError) as refused:
        check_route(route)
    assert refused.value.message.startswith(says)


def hello(name: str) -> bytes:
    """The first message of TLS, with a name in it."""
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


async def answer(port: int, first: bytes) -> bytes:
    """What comes to a first message; empty when the connection is closed."""
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            writer.write(first)
            return await reader.read(100)
    return b""


@pytest.mark.usefixtures("haproxy")
async def test_connections_go_where_the_routes_say(free_port, tmp_path, haproxy_says):
    http, plain, named, unused = (free_port() for _ in range(4))
    routes = [tcp("redis", str(plain)), sni("wild", "*.b.org", port=str(named)), sni("a", "a.org", port=str(named))]
    routes.append(tcp("rest", str(named)))
    async with contextlib.AsyncExitStack() as stack:
        backends = [Backend.serving(Route("web", ("/",)), [])]
        for route in routes:

            async def serve(reader, writer, name=route.service):
                await reader.read(1)
                writer.write(name.encode())
                writer.close()

            server = await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", 0))
            address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
            backends.append(Backend.serving(route, [address]))
        binds = tuple(f"127.0.0.1:{port}" for port in (plain, named, unused))
        options = Options(binds=(f"127.0.0.1:{http}",), tcp_binds=binds)
        rendered = render(backends, options, 1)
        code, output = haproxy_says(rendered)
        assert (code, "WARNING" in output) == (0, False), output
        child = HAProxy(options, tmp_path / "run")
        await child.start(rendered, 1, "the-key")
        stack.push_async_callback(child.stop)
        found = [
            await answer(port, first)
            for port, first in (
                (plain, b"PING\r\n"), (named, hello("a.org")), (named, hello("A.org")), (named, hello("b.b.org")),
                (named, hello("b.org")), (unused, b"PING\r\n"),
            )
        ]  # fmt: skip
    assert found == [b"redis", b"a", b"a", b"wild", b"rest", b""]

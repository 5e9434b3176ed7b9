"""The rendered files: golden ones, what HAProxy says to them, and where requests go when it runs them.

A case is ``golden/<case>.json`` (options, and routes with their servers) with the ``.cfg`` and ``.map`` that come of
it. ``GOLDEN_WRITE=1`` writes these two anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options, Timeouts
from jenkins_proxy.proxy.haproxy.config.render import Renderer, render
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog
from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.validation import parse_address

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def read(case: str):
    data = json.loads((GOLDEN / f"{case}.json").read_text())
    backends = [backend(**one) for one in data["backends"]]
    options = {**data.get("options", {}), "binds": tuple(data.get("options", {}).get("binds", ["*:80"]))}
    options["timeouts"] = Timeouts(**options.get("timeouts", {}))
    options["entry"] = entry_of(**options.get("entry", {}))
    return render(backends, Options(**options), 1)


def entry_of(tls=None, acme="", trusted=(), access_log=None, error_pages=None, **rest) -> Entry:
    rest["access_log"] = AccessLog(**access_log) if access_log else None
    rest["error_pages"] = {int(status): text for status, text in (error_pages or {}).items()}
    rest["trusted"] = tuple(trusted)
    tls = Tls(**{**tls, "binds": tuple(tls["binds"])}) if tls else None
    return Entry(tls=tls, acme=parse_address(acme) if acme else None, **rest)


def backend(route, servers=(), candidates=(), held=None, public=True) -> Backend:
    serving, own = ([parse_address(text) for text in texts] for texts in (servers, candidates))
    states = dict.fromkeys(serving, ServerState.SERVING) | dict.fromkeys(own, ServerState.CANDIDATE)
    keyed = None
    if held:
        name = route["service"]
        hold_id, key_sha256 = (hashlib.sha256(f"{name}{what}".encode()).hexdigest() for what in ("id", "key"))
        keyed = KeyedAccess(hold_id[:8], key_sha256, Route.from_dict(held), {address: address for address in own})
    return Backend(Route.from_dict(route), states, keyed, public)


def maps_text(rendered) -> str:
    maps = {**rendered.maps, **{name: text for name, text in rendered.runtime_maps.items() if text}}
    return "".join(f"# {name}\n{text}" for name, text in sorted(maps.items()))


@pytest.mark.parametrize("case", CASES)
def test_golden(case, haproxy_says):
    rendered = read(case)
    if os.environ.get("GOLDEN_WRITE"):
        (GOLDEN / f"{case}.cfg").write_text(rendered.config)
        (GOLDEN / f"{case}.map").write_bytes(maps_text(rendered).encode())
    assert rendered.config == (GOLDEN / f"{case}.cfg").read_text()
    assert maps_text(rendered) == (GOLDEN / f"{case}.map").read_bytes().decode()
    code, output = haproxy_says(rendered)
    assert (code, "WARNING" in output) == (0, False), output


ROUTES = (
    Route("books", ("/api/v1/books",)),
    Route("long", ("/api/v1/books/long",)),
    Route("equal", ("/api/v1/books/equal",), path_type="path"),
    Route("image", (r"^/img/[0-9]{2,3}.png$",), path_type="path_reg"),
    Route("html", (".html",), path_type="path_end"),
    Route("folder", ("deep",), path_type="path_dir"),
    Route("shop", domains=("shop.org",)),
    Route("below", domains=("*.shop.org",), acl_name="z"),
    Route("eu", ("/eu",), ("eu.shop.org",)),
    Route("wild", domains=("*.wild.net",)),
    Route("raw", ("^/x",), ("wild.net",), "path_reg"),
    Route("tld", domains=("net",)),
    Route("rewritten", ("/old",), req_path_search="^/old/(a|b)[0-9]*", req_path_replace="/new"),
)


@pytest.fixture
async def entry(haproxy, free_port, origin, tmp_path):
    """A HAProxy with :data:`ROUTES`, each with a server of its own; its port."""
    port = free_port()
    options = Options(binds=(f"127.0.0.1:{port}",))
    backends = [Backend.serving(route, [(await origin(route.service)).address]) for route in ROUTES]
    child = HAProxy(options, tmp_path / "run")
    await child.start(render(backends, options, 1), 1, "the-key")
    yield port
    await child.stop()


WHERE = (
    ("localhost", "/api/v1/books", "books"),
    ("localhost", "/api/v1/books?q=/api/v1/books/long", "books"),
    ("localhost", "/api/v1/books/1", "books"),
    ("localhost", "/api/v1/books/longer", "long"),
    ("localhost", "/api/v1/books/equal", "equal"),
    ("localhost", "/api/v1/books/equal/not", "books"),
    ("localhost", "/API/v1/books", None),
    ("localhost", "//api/v1/books", None),
    ("localhost", "/%61pi/v1/books", None),
    ("localhost", "/", None),
    ("localhost", "/img/12.png", "image"),
    ("localhost", "/img/1234.png", None),
    ("localhost", "/any/page.html", "html"),
    ("localhost", "/so/deep/down", "folder"),
    ("localhost", "/api/v1/books/x.html", "html"),
    ("shop.org", "/", "shop"),
    ("SHOP.org:8080", "/anything", "shop"),
    ("shop.org.", "/", "shop"),
    ("a.b.shop.org", "/", "shop"),
    ("noshop.org", "/", None),
    ("eu.shop.org", "/eu/1", "eu"),
    ("x.eu.shop.org", "/eu", "eu"),
    ("eu.shop.org", "/us", "shop"),
    ("wild.net", "/", "tld"),
    ("wild.net", "/x1", "raw"),
    ("wild.net", "/y", "tld"),
    ("a.wild.net", "/", "wild"),
    ("net", "/api/v1/books", "tld"),
    ("com", "/api/v1/books", "books"),
    ("[::1]:80", "/api/v1/books", "books"),
    ("", "/api/v1/books", "books"),
    ("x" * 300 + ".shop.org", "/", "shop"),
)


async def test_requests_go_where_the_routes_say(entry, ask):
    found = []
    for host, path, _service in WHERE:
        answer = await ask(entry, path, host)
        found.append((host, path, answer.body if answer.status == 200 else None))
    assert found == list(WHERE)


async def test_an_unknown_route_is_503_and_says_so(entry, ask):
    answer = await ask(entry, "/nothing")
    assert (answer.status, answer.body) == (503, "jenkins-proxy: no route\n")


@pytest.mark.usefixtures("haproxy")
async def test_long_paths_are_kept_from_steep_expressions_alone(free_port, origin, ask, tmp_path):
    routes = (
        Route("flat", ("^/flat/.*$",), path_type="path_reg"),
        Route("steep", ("^/steep/.*/x/.*/y$",), path_type="path_reg", acl_name="a"),
        Route("exact", ("/" + "e" * 1023,), path_type="path"),
        Route("before", ("/z",), domains=("z.org",)),
        Route("most", ("^/m/.*$",), domains=("m.org",), path_type="path_reg", path_exclude=("^/.*x.*y$",)),
        Route("old", ("/",), domains=("old.org",), req_path_search="^/(.*)/(.*)/x$", req_path_replace="/new"),
    )
    options = Options(binds=(f"127.0.0.1:{free_port()}",))
    backends = [Backend.serving(route, [(await origin(route.service)).address]) for route in routes]
    child = HAProxy(options, tmp_path)
    await child.start(render(backends, options, 1), 1, "key")
    port = int(options.binds[0].split(":")[1])
    asked = (
        ("localhost", "/steep/" + "a" * 900 + "/x/a/y", 200, "steep"),
        ("localhost", "/steep/" + "a" * 1100 + "/x/a/y", 414, "jenkins-proxy: the path is too long\n"),
        ("localhost", "/flat/" + "a" * 5000, 414, "jenkins-proxy: the path is too long\n"),
        ("localhost", "/flat/x?" + "a" * 5000, 200, "flat"),
        ("localhost", "/" + "e" * 1023, 200, "exact"),
        ("z.org", "/z/" + "a" * 5000, 200, "before"),
        ("m.org", "/m/xy" + "a" * 900, 200, "most"),
        ("m.org", "/m/" + "x" * 1100, 414, "jenkins-proxy: the path is too long\n"),
        ("old.org", "/a" * 500 + "/x", 200, "old"),
        ("old.org", "/a" * 1000 + "/x", 414, "jenkins-proxy: the path is too long\n"),
    )
    answers = [await ask(port, path, host) for host, path, _, _ in asked]
    await child.stop()
    assert [(answer.status, answer.body) for answer in answers] == [(status, body) for *_, status, body in asked]
    assert render([Backend(routes[0])], options, 1).config.count(" 414 ") == 0


@pytest.mark.usefixtures("haproxy")
@pytest.mark.parametrize(
    ("search", "replace", "path", "seen"),
    [
        ("^/old/(a|b)[0-9]*", "/new", "/old/a12/x?y=1", "/new/x?y=1"),
        ("^/old", "", "/old?y=1", "/?y=1"),
        ("^/old/", "", "/old/x", "/x"),
    ],
)
async def test_a_path_is_rewritten_before_it_is_seen(search, replace, path, seen, free_port, origin, ask, tmp_path):
    server, options = await origin(), Options(binds=(f"127.0.0.1:{free_port()}",))
    child = HAProxy(options, tmp_path)
    route = Route("rewritten", ("/old",), req_path_search=search, req_path_replace=replace)
    await child.start(render([Backend.serving(route, [server.address])], options, 1), 1, "key")
    await ask(int(options.binds[0].split(":")[1]), path)
    await child.stop()
    assert server.requests == [seen]


@pytest.mark.usefixtures("haproxy")
@pytest.mark.parametrize("path", ["/slow", "/stream"])
@pytest.mark.parametrize(("seconds", "whole"), [(0.0, False), (5.0, True)])
async def test_a_route_may_wait_longer_for_its_instances(path, seconds, whole, free_port, origin, tmp_path):
    """All times are a twentieth of what users have: a limit of 20 s, and an instance that is silent for 30 s."""
    server, port = await origin(), free_port()
    options = Options(binds=(f"127.0.0.1:{port}",), timeouts=Timeouts(client=1, server=1))
    child = HAProxy(options, tmp_path)
    route = Route("slow", ("/",), timeout_server=seconds)
    await child.start(render([Backend.serving(route, [server.address])], options, 1), 1, "key")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    await server.arrived.wait()
    await asyncio.sleep(1.5)
    server.release.set()
    body = (await reader.read()).decode().partition("\r\n\r\n")[2]
    writer.close()
    await child.stop()
    assert (("origin" in body) or ("data: 2" in body)) is whole


def test_the_timeouts_of_a_route_are_its_backends():
    config = render([Backend(Route("books", ("/",), timeout_server=90, timeout_tunnel=7200))], Options(), 1).config
    assert "    timeout server 90000ms\n    timeout tunnel 7200000ms\n" in config.partition("\nbackend books-be\n")[2]


@pytest.mark.usefixtures("haproxy")
@pytest.mark.parametrize(("key", "told"), [("the-key", True), ("another", False), ("", False)])
async def test_the_instance_is_told_to_who_has_the_key_and_to_nobody_else(key, told, free_port, origin, ask, tmp_path):
    server, port = await origin(), free_port()
    options = Options(binds=(f"127.0.0.1:{port}",))
    child = HAProxy(options, tmp_path)
    rendered = render([Backend.serving(Route("books", ("/",)), [server.address])], options, 1)
    await child.start(rendered, 1, "the-key")
    answer = await ask(port, "/", X_Jenkins_Proxy_Probe=key)
    # With a wrong key of a deploy it is as with a wrong one of the probe.
    deployed = await ask(port, "/", X_Jenkins_Proxy_Candidate=key)
    await child.stop()
    assert "x-jenkins-proxy-instance" not in deployed.headers
    # The server itself forges that header in every answer, and must not learn the key.
    assert answer.headers.get("x-jenkins-proxy-instance") == (str(server.address) if told else None)
    assert "x-jenkins-proxy-probe" not in server.headers[0]
    assert "the-key" not in rendered.config


@pytest.mark.parametrize(
    ("tls", "place"),
    [
        (None, "new.org"),
        (Tls(("*:443",)), "new.org"),
        (Tls(("*:8443", "*:443")), "new.org:8443"),
        (Tls(("[::1]:8443",), redirect_port=443), "new.org"),
        (Tls(("*:443",), redirect_port=444), "new.org:444"),
    ],
)
def test_redirects_lead_to_the_port_of_https(tls, place):
    route = Route("new", domains=("new.org",), https_only=True, redirect_from_domain=("old.org",))
    text = render([Backend.serving(route, [])], Options(entry=Entry(tls=tls)), 1).config
    port = place.removeprefix("new.org")
    assert f"redirect code 301 prefix https://{place} if" in text
    assert text.count(f"redirect location https://%[req.hdr(host),host_only]{port}%[pathq] if !") == 1


def test_a_thousand_routes_are_as_many_rules_as_ten():
    def rules(count: int) -> int:
        backends = [Backend(Route(f"s{n}", (f"/s{n}",), (f"s{n}.org",))) for n in range(count)]
        head = render(backends, Options(), 1).config.partition("\nbackend ")[0]
        return head.count("\n")

    assert rules(1000) == rules(10)


def test_the_text_does_not_depend_on_the_order_of_what_comes_in():
    backends = [
        Backend.serving(Route(name, (f"/{name}",)), [Address("10.0.0.1", 1), Address("10.0.0.2", 1)]) for name in "abc"
    ]
    turned = [Backend.serving(one.route, reversed(one.servers)) for one in reversed(backends)]
    assert render(backends, Options(), 1) == render(turned, Options(), 1)


def test_error_pages_are_files_and_no_maps_that_could_be_compared_with_haproxys():
    renderer = Renderer(Options(entry=Entry(error_pages={404: "HTTP/1.1 404 Not Found\r\n\r\n"})))
    rendered = renderer.render([Backend(Route("books", ("/books",)))], 1)
    (page,) = rendered.maps.keys() - renderer.maps.keys()
    assert page.startswith("404-")
    assert [name for name in renderer.maps if not name.endswith(".map")] == []
    assert renderer.maps


def test_a_server_that_drains_is_not_in_the_file():
    servers = {Address("10.0.0.1", 1): ServerState.SERVING, Address("10.0.0.2", 1): ServerState.DRAINING}
    text = render([Backend(Route("books", ("/books",)), servers)], Options(), 1).config
    assert "server 10.0.0.1:1 " in text
    assert "10.0.0.2" not in text

"""What the options about HTTP do to requests: one running HAProxy with a route for each of them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.process import HAProxy
from tests.fixtures.route_values import HEADER, SHA512

ROUTES = (
    Route("plain", ("/",)),
    Route("users", ("/users",), users=(f"ann:{SHA512}",)),
    Route("open", ("/open",), users=(f"ann:{SHA512}",), ignore_authorization=True),
    Route("reads", ("/reads",), allowed_methods=("GET", "PUT"), denied_methods=("PUT",)),
    Route("https", ("/https",), https_only=True, https_redirect_code="308"),
    Route("denied", ("/denied",), deny_http=True),
    Route("when", ("/when",), redirect_when_http_proto=True),
    Route("unless", ("/unless",), redirect_unless_https_proto=True),
    Route("new", (), ("new.org",), redirect_from_domain=("old.org",)),
    Route("default", ("/default",), ("default.org",), is_default_backend=True),
    Route("exact", domains=("exact.org",), domain_algo="hdr(host)"),
    Route("begins", domains=("begins", "api."), domain_algo="hdr_beg(host)"),
    Route("tail", domains=("tail", ".below.org"), domain_algo="hdr_end(host)"),
    Route("regular", domains=("^v[0-9]+[.]Regular[.]org$",), domain_algo="hdr_reg(host)"),
    Route("three", ("/part",), service_header=("X-Version:3", "X-Other:it's")),
    Route("phone", ("/part",), user_agent=("iPhone", "android")),
    Route("part", ("/part",), path_exclude=("/part/not", "/part/never")),
    Route("deeper", ("/part/not/but",), path_exclude=("/part/not/but/x",)),
    Route("exactly", ("/one",), path_type="path", service_header=("X-Version:3",)),
    Route("ends", (".png",), path_type="path_end", user_agent=("iphone",)),
    Route("port", ("/port",), src_port="1"),
    Route("twice", ("/twice",), req_path_search_replace="^/twice,/v1:/a/,/b/"),
    Route(
        "headers",
        ("/headers",),
        add_req_header=(HEADER, "X-Secure on if { ssl_fc }", "X-Plain: on if !{ ssl_fc }"),
        set_req_header=("X-From %[src]", "X-Env %[hostname"),
        del_req_header=("X-Gone",),
        set_res_header=("X-Back a, b", "X-Secure on if { ssl_fc }"),
        del_res_header=("X-Jenkins-Proxy-No",),
    ),
)
STICKY = Route("sticky", ("/sticky",), session_type="sticky-server")
SECRET = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
WRONG = {"Authorization": "Basic " + base64.b64encode(b"ann:wrong").decode()}
HTTPS = {"X-Forwarded-Proto": "https"}
PROBE = {"X-Jenkins-Proxy-Probe": "the-key"}

# A request (host, path, method, headers), and the service that answers or the status and the Location.
REQUESTS = (
    ("localhost", "/users", "GET", {}, 401),
    ("localhost", "/users", "GET", WRONG, 401),
    ("localhost", "/users", "GET", SECRET, "users"),
    ("localhost", "/users", "GET", PROBE, "users"),
    ("localhost", "/open", "GET", {}, "open"),
    ("localhost", "/reads", "GET", {}, "reads"),
    ("localhost", "/reads", "POST", {}, 403),
    ("localhost", "/reads", "PUT", {}, 403),
    ("localhost", "/reads", "POST", PROBE, "reads"),
    ("a.org", "/https?b=c", "GET", {}, (308, "https://a.org/https?b=c")),
    ("a.org:8080", "/https", "GET", {}, (308, "https://a.org/https")),
    ("[::1]:8080", "/https", "GET", {}, (308, "https://[::1]/https")),
    ("a.org", "/https", "GET", HTTPS, "https"),
    ("a.org", "/https", "GET", PROBE, "https"),
    ("localhost", "/denied", "GET", {}, 403),
    ("localhost", "/denied", "GET", HTTPS, "denied"),
    ("localhost", "/when", "GET", {}, "when"),
    ("a.org", "/when", "GET", {"X-Forwarded-Proto": "http"}, (302, "https://a.org/when")),
    ("a.org", "/unless", "GET", {}, (302, "https://a.org/unless")),
    ("a.org:80", "/when", "GET", {"X-Forwarded-Proto": "http"}, (302, "https://a.org/when")),
    ("a.org:80", "/unless", "GET", {}, (302, "https://a.org/unless")),
    ("a.org", "/unless", "GET", HTTPS, "unless"),
    ("OLD.org", "/a?b", "GET", {}, (301, "http://new.org/a?b")),
    ("old.org:8080", "/a?b", "GET", HTTPS, (301, "https://new.org/a?b")),
    ("new.org", "/a", "GET", {}, "new"),
    ("default.org", "/default", "GET", {}, "default"),
    ("localhost", "*", "OPTIONS", {}, "default"),
    ("exact.org", "/", "GET", {}, "exact"),
    ("www.exact.org", "/", "GET", {}, "plain"),
    ("begins.example", "/", "GET", {}, "begins"),
    ("api.example", "/", "GET", {}, "begins"),
    ("apis.example", "/", "GET", {}, "plain"),
    ("cocktail:80", "/", "GET", {}, "tail"),
    ("x.below.org", "/", "GET", {}, "tail"),
    ("xbelow.org", "/", "GET", {}, "plain"),
    ("no-begins.example", "/", "GET", {}, "plain"),
    ("V2.regular.ORG:80", "/", "GET", {}, "regular"),
    ("v2.regular.org.net", "/", "GET", {}, "plain"),
    ("v" + "2" * 300 + ".regular.org", "/", "GET", {}, "plain"),
    ("localhost", "/part", "GET", {"X-Version": "3", "X-Other": "it's"}, "three"),
    ("localhost", "/part", "GET", {"X-Version": "3"}, "part"),
    ("localhost", "/part", "GET", {"User-Agent": "Mozilla/5.0 (IPHONE; KHTML, like Gecko)"}, "phone"),
    ("localhost", "/part/not", "GET", {}, "plain"),
    ("localhost", "/part/never/1", "GET", {"User-Agent": "Android"}, "phone"),
    ("localhost", "/part/not/but", "GET", {}, "deeper"),
    ("localhost", "/part/not/but/x", "GET", {}, "plain"),
    ("localhost", "/part/not/but/x", "GET", {"User-Agent": "Android"}, "phone"),
    ("localhost", "/port", "GET", {}, "plain"),
    ("localhost", "/one", "GET", {"X-Version": "3"}, "exactly"),
    ("localhost", "/one", "GET", {}, "plain"),
    ("localhost", "/a.png", "GET", {"User-Agent": "iPhone"}, "ends"),
    ("localhost", "/a.png", "GET", {}, "plain"),
)


@pytest.mark.usefixtures("haproxy")
async def test_options_do_what_they_say(free_port, origin, ask, tmp_path):
    port = free_port()
    another = free_port()
    options = Options(binds=(f"127.0.0.1:{port}", f"127.0.0.1:{another}"))
    origins = {route.service: await origin(route.service) for route in ROUTES}
    first, second, candidate = [await origin(name) for name in ("first", "second", "candidate")]
    states = {first.address: ServerState.SERVING, second.address: ServerState.SERVING}
    sticky = Backend(STICKY, {**states, candidate.address: ServerState.CANDIDATE})
    routes = [dataclasses.replace(route, src_port=str(another)) if route.src_port else route for route in ROUTES]
    backends = [*(Backend.serving(route, [origins[route.service].address]) for route in routes), sticky]
    # A deploy of the service with users has put its candidate beside the server.
    held = backends[1].with_server(candidate.address, ServerState.CANDIDATE)
    key_sha256 = hashlib.sha256(b"the-deploys-key").hexdigest()
    access = KeyedAccess("0123abcd", key_sha256, held.route, {candidate.address: candidate.address})
    backends[1] = dataclasses.replace(held, keyed=access)
    child = HAProxy(options, tmp_path / "run")
    await child.start(render(backends, options, 1), 1, "the-key")
    try:
        found = []
        for host, path, method, headers, _expected in REQUESTS:
            answer = await ask(port, path, host, method, **headers)
            seen = answer.body if answer.status == 200 else answer.status
            location = answer.headers.get("location", "")
            found.append((host, path, method, headers, (seen, location) if location else seen))
        assert found == list(REQUESTS)

        assert (await ask(another, "/port")).body == "port"

        # The deploy of a service is let past its login, and not past that of another.
        key = {"X-Jenkins-Proxy-Candidate": "the-deploys-key"}
        assert (await ask(port, "/users", **key)).body == "candidate"
        assert (await ask(port, "/denied", **key)).status == 403

        # The login is the proxy's: the service learns no password.
        assert not any("authorization" in headers for headers in origins["users"].headers)
        await ask(port, "/twice/a/1")
        assert origins["twice"].requests == ["/v1/b/1"]

        answer = await ask(port, "/headers", X_Gone="1", X_From="2", X_Odd="kept")
        (got,) = origins["headers"].headers
        assert got["x-odd"] == HEADER.split(" ", 1)[1].replace("%[src]", "127.0.0.1").lower()
        assert (got["x-from"], got["x-env"], got["x-plain"]) == ("127.0.0.1", "%[hostname", "on")
        assert not {"x-gone", "x-secure"} & got.keys()
        assert answer.headers["x-back"] == "a, b"
        assert "x-secure" not in answer.headers
        await ask(port, "/headers", **HTTPS)
        assert (origins["headers"].headers[-1]["x-secure"], "x-plain" in origins["headers"].headers[-1]) == (
            "on",
            False,
        )

        answer = await ask(port, "/sticky")
        cookie = answer.headers["set-cookie"].partition(";")[0]
        again = [await ask(port, "/sticky", Cookie=cookie) for _ in range(6)]
        assert {(one.body, one.headers.get("set-cookie")) for one in again} == {(answer.body, None)}
        # No cookie leads to a candidate, or anywhere else.
        for name in (f"127.0.0.1:{candidate.address.port}", "x"):
            forged = f"sticky={hashlib.sha256(name.encode()).hexdigest()}"
            seen = {(await ask(port, "/sticky", Cookie=forged)).body for _ in range(4)}
            assert seen == {"first", "second"}
    finally:
        await child.stop()

"""Who may call the embedded registry: drop-in clients as they really call, and web pages that may not."""

from __future__ import annotations

import contextlib
import http.client
import socket

import aiohttp
import pytest

from jenkins_proxy.consul_server.server import EmbeddedRegistry, Owner
from jenkins_proxy.consul_server.state.state_store import Timing

PAGE = "Mozilla/5.0 (X11; Linux x86_64)"


@pytest.fixture(scope="module")
def call(embed):
    """``call("PUT", host="consul:8500", …)`` is the status of a write of a key, or of a read."""
    ports = {"none": embed(names=["Known.example.com"]).port, "token": embed(token="s3cret").port}

    def make(method: str, host: str = "127.0.0.1:8500", *, registry: str = "none", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", ports[registry], timeout=10)
        connection.putrequest(method, "/v1/kv/key" if method == "PUT" else "/v1/kv/?recurse", skip_host=True)
        for name, value in {"Host": host, "Content-Length": "0", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    assert make("PUT") == 200
    return make


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8500",
        "127.0.0.1",
        "[::1]:8500",
        "10.100.198.200:8500",
        "localhost:8500",
        "consul:8500",
        "consul",
        "host.docker.internal:8500",
        "consul.localhost",
        "known.example.com:8500",
        "KNOWN.example.com",
        socket.gethostname(),
        "",
    ],
)
def test_clients_call_by_all_their_names(call, method, host):
    # Registrator and curl; an SDK in a page of Node sends Sec-Fetch-Mode.
    assert call(method, host, User_Agent="Go-http-client/1.1", Sec_Fetch_Mode="cors") == 200


def test_a_caller_without_a_name_is_let_in(embedded_url):
    # HAProxy's plain checks speak HTTP/1.0; a browser always sends Host.
    host, _, port = embedded_url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /v1/status/leader HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("host", ["evil.example:8500", "127.0.0.1.evil.example", "known.example.com.evil.example"])
def test_a_name_that_someone_else_may_own_is_refused(call, method, host):
    assert call(method, host, User_Agent=PAGE, Origin=f"http://{host}") == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8500", "http://consul:8500"]
)
def test_a_web_page_does_not_write(call, origin):
    host = origin.rpartition("/")[2] if ":8500" in origin else "127.0.0.1:8500"
    assert call("PUT", host, Origin=origin) == 403


def test_a_person_may_look(call):
    assert call("GET", User_Agent=PAGE, Sec_Fetch_Site="cross-site") == 200


def test_a_token_opens_everything_from_everywhere(call):
    page = {"registry": "token", "Origin": "http://evil.example"}
    assert call("PUT", "evil.example", **page) == 403
    assert call("PUT", "evil.example", **page, X_Consul_Token="s3cret") == 200


def test_with_a_token_a_name_that_someone_else_may_own_reads_nothing(call):
    assert call("GET", "evil.example", registry="token") == 403
    assert call("GET", "evil.example", registry="token", X_Consul_Token="s3cret") == 200
    assert call("GET", registry="token") == 403
    assert call("GET", registry="token", X_Consul_Token="s3cret") == 200


@pytest.mark.parametrize("token", ["", "s3cret"])
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "own/routes/evil", False),
        ("PUT", "own%2Froutes%2Fevil", False),
        ("PUT", "own/holds/books", False),
        ("DELETE", "own/routes/books", False),
        ("DELETE", "own?recurse", False),
        ("DELETE", "?recurse=true", False),
        ("PUT", "own/locks/books", True),
        ("DELETE", "own/locks?recurse", True),
        ("GET", "own/routes/?recurse", True),
    ],
)
def test_what_the_owner_alone_writes(embed, token, method, path, allowed):
    registry = embed(token=token, owner=Owner(lambda presented: presented == "0wner", ("own/routes/", "own/holds/")))

    def status(presented: str) -> int:
        headers = {"X-Consul-Token": presented} if presented else {}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", registry.port, timeout=10)) as connection:
            connection.request(method, f"/v1/kv/{path}", headers=headers)
            return connection.getresponse().status

    assert (status(token) in (200, 404)) is allowed
    assert status("0wner") in (200, 404)
    assert status("wrong") == (403 if not allowed or token else status(token))


def test_the_owner_is_told_who_writes_its_keys(embed):
    told = []
    owner = Owner(
        lambda presented: presented == "0wner",
        ("own/routes/",),
        told=lambda presented, request, status: told.append((presented, request.method, request.path, status)),
    )
    registry = embed(owner=owner)
    for method, path, presented in (
        ("PUT", "own/routes/evil", ""),
        ("PUT", "own/routes/books", "0wner"),
        ("GET", "own/routes/books", "0wner"),
        ("PUT", "other", "0wner"),
        ("DELETE", "own?recurse", "wrong"),
    ):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", registry.port, timeout=10)) as connection:
            connection.request(method, f"/v1/kv/{path}", headers={"X-Consul-Token": presented} if presented else {})
            connection.getresponse().read()
    assert told == [
        ("", "PUT", "/v1/kv/own/routes/evil", 403),
        ("0wner", "PUT", "/v1/kv/own/routes/books", 200),
        ("wrong", "DELETE", "/v1/kv/own", 403),
    ]


@pytest.mark.parametrize(
    ("path", "open_"),
    [
        ("/v1/status/leader", True),
        ("/v1/status/peers", True),
        ("/v1/kv/key", False),
        ("/v1/kv/?keys", False),
        ("/v1/health/state/any", False),
        ("/v1/agent/checks", False),
        ("/v1/agent/self", False),
        ("/v1/catalog/services", False),
        ("/v1/session/list", False),
    ],
)
def test_with_a_token_what_is_read_needs_it(embed, path, open_):
    registry = embed(token="s3cret")
    for presented, expected in (("", open_), ("wrong", open_), ("s3cret", True)):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", registry.port, timeout=10)) as connection:
            connection.request("GET", path, headers={"X-Consul-Token": presented} if presented else {})
            assert (connection.getresponse().status != 403) is expected


async def test_beyond_loopback_any_name_may_be_ours():
    registry = EmbeddedRegistry()
    await registry.start("0.0.0.0", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{registry.port}") as client:
        for page, status in (({}, 200), ({"Origin": "http://registry.example.com"}, 403)):
            async with client.put("/v1/kv/key", headers={"Host": "registry.example.com", **page}) as answer:
                assert answer.status == status
    await registry.stop()


def test_a_connection_that_asks_no_more_is_closed(embed):
    registry = embed(timing=Timing(idle_within=0.1))
    with socket.create_connection(("127.0.0.1", registry.port), timeout=20) as connection:
        connection.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        # Its end, after the answer.
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 ")

"""What the clients say when the registry does not answer, refuses, or is something else; and what they send."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.consul import calls, requests
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.errors import RegistryError, UsageError


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """``ask(url, "leader")`` makes a call with the sync and with the async client."""

    def sync(url, method, *args, **options):
        with Consul(url, **options) as client:
            return getattr(client, method)(*args)

    def asynchronous(url, method, *args, **options):
        async def make():
            async with AsyncConsul(url, **options) as client:
                return await getattr(client, method)(*args)

        return asyncio.run(make())

    return sync if request.param == "sync" else asynchronous


@pytest.fixture
def answering():
    """``answering(status, body, headers)`` is the URL of a server that answers so; its requests are in ``seen``."""
    servers = []

    def start(status=200, body=b"", headers=()):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                start.seen.append(self)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET

            def log_message(self, *_args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    start.seen = []
    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nobody_listens(ask, free_port):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError) as caught:
        ask(url, "leader")
    assert caught.value.message == f"no registry answers at {url}: connection refused"
    assert caught.value.hint == ("start Consul or `jenkins-proxy serve` there, or set CONSUL_HTTP_ADDR to where it is")
    assert caught.value.exit_code == 4


def test_an_unknown_host(ask):
    with pytest.raises(RegistryError, match="at http://nobody.invalid:8500: the host name is unknown"):
        ask("http://nobody.invalid:8500", "leader")


def test_no_answer_in_time(ask, monkeypatch):
    monkeypatch.setattr(requests, "TIMEOUT", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(RegistryError, match="no answer in time"):
            ask(f"http://127.0.0.1:{silent.getsockname()[1]}", "leader")


@pytest.mark.parametrize("linger", [(1, 0), (0, 0)], ids=["reset", "closed"])
def test_a_connection_that_is_closed_at_once(ask, linger):
    """As Consul does with one too many."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def close() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *linger))
                    connection.recv(10)
                    connection.close()

        threading.Thread(target=close, daemon=True).start()
        with pytest.raises(RegistryError) as caught:
            ask(f"http://127.0.0.1:{server.getsockname()[1]}", "leader")
        server.shutdown(socket.SHUT_RDWR)
    assert "http_max_conns_per_client" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body", "said", "hint"),
    [
        (403, b"Permission denied", "Permission denied", "give a token that may do this in CONSUL_HTTP_TOKEN"),
        (
            429,
            b"Your IP is issuing too many concurrent connections, please rate limit your calls\n",
            "Your IP is issuing too many concurrent connections, please rate limit your calls",
            "raise limits.http_max_conns_per_client in Consul's configuration (200 by default)",
        ),
        (
            500,
            b"No cluster leader",
            "No cluster leader",
            "the Consul servers have elected none yet, or have lost their majority",
        ),
        (502, b"", "HTTP 502", ""),
        (500, b"two\nlines", "two lines", ""),
    ],
)
def test_a_refusal_is_told_in_one_line(ask, answering, status, body, said, hint):
    url = answering(status, body)
    with pytest.raises(RegistryError) as caught:
        ask(url, "leader")
    assert caught.value.message == f"the registry at {url} refused GET /v1/status/leader: {said}"
    assert caught.value.hint == hint


def test_a_redirect_is_not_followed_with_the_token(ask, answering):
    elsewhere = answering(200, b'"10.0.0.1:8300"')
    url = answering(301, b"", [("Location", elsewhere)])
    with pytest.raises(RegistryError, match="refused GET /v1/status/leader: HTTP 301") as caught:
        ask(url, "leader", token="secret")
    assert "Consul's HTTP API?" in caught.value.hint
    assert len(answering.seen) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a": 1}', b"null"])
def test_something_else_answers(ask, answering, body):
    url = answering(200, body)
    with pytest.raises(RegistryError, match=f"{url} does not answer /v1/health/service/a as Consul does") as caught:
        ask(url, "instances", "a")
    assert caught.value.hint == "is that address Consul's HTTP API?"


def test_the_token_is_in_its_header_only(ask, answering):
    ask(answering(200, b'""'), "leader", token="secret")
    [request] = answering.seen
    assert request.headers["X-Consul-Token"] == "secret"
    assert "secret" not in request.path
    assert "Authorization" not in request.headers


def test_no_token_no_header(ask, answering):
    ask(answering(200, b'""'), "leader")
    assert "X-Consul-Token" not in answering.seen[0].headers


def test_a_proxy_for_the_internet_is_not_for_the_registry(ask, answering, monkeypatch, free_port):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert ask(answering(200, b'"10.0.0.1:8300"'), "leader") == "10.0.0.1:8300"


def test_the_index_to_ask_with_next_is_none_that_would_not_block():
    assert [requests.next_index(answered) for answered in (0, 1, 7)] == [1, 1, 7]


@pytest.mark.parametrize(
    ("asked", "answered", "again"),
    [(0, 5, False), (5, 5, False), (5, 9, False), (9, 5, True), (9, 0, False), (1, 0, False)],
)
def test_an_answer_whose_index_went_back_is_asked_for_again(asked, answered, again):
    call = calls.kv_watch("jenkins-proxy/", index=asked, wait=30).again(requests.Reply(200, b"[]", answered))
    assert (call is not None) == again
    if call:
        assert call.target == "/v1/kv/jenkins-proxy/?recurse=true&consistent="
        assert (call.index, call.wait) == (0, 0)


@pytest.mark.parametrize(
    ("call", "target", "timeout"),
    [
        (calls.instances("a/b c"), "/v1/health/service/a%2Fb%20c?consistent=", 10.0),
        (calls.instances("a", index=7, wait=16.0), "/v1/health/service/a?index=7&wait=16000ms", 27.0),
        (calls.instances("a", index=7, wait=10_000.0), "/v1/health/service/a?index=7&wait=600000ms", 647.5),
        (calls.instances("a", index=0, wait=16.0), "/v1/health/service/a?consistent=", 10.0),
        (calls.kv_get("a/b c?d"), "/v1/kv/a/b%20c%3Fd?consistent=", 10.0),
        (calls.kv_watch("a/", index=3, wait=1.5), "/v1/kv/a/?recurse=true&index=3&wait=1500ms", 1.5 * 17 / 16 + 10),
        (calls.kv_put("a", b"", cas=0), "/v1/kv/a?cas=0", 10.0),
        (calls.kv_put("a", b"", acquire="s"), "/v1/kv/a?acquire=s", 10.0),
        (calls.kv_delete("a", recurse=True), "/v1/kv/a?recurse=true", 10.0),
        (calls.deregister("host:a/b:80"), "/v1/agent/service/deregister/host%3Aa%2Fb%3A80", 10.0),
    ],
)
def test_targets(call, target, timeout):
    assert (call.target, call.timeout) == (target, timeout)


async def test_connections_stay_within_the_budget(embedded_url, embed):
    registry = embed()
    async with AsyncConsul(registry.url, connections=2) as client:
        _, index = await client.watch_services()
        asked = [asyncio.ensure_future(client.watch_services(index=index, wait=0.2)) for _ in range(4)]
        most = 0
        while not all(query.done() for query in asked):
            most = max(most, registry.waiting)
            await asyncio.sleep(0.01)
        await asyncio.gather(*asked)
    assert most == 2


@pytest.fixture
def secure(loopback_certificate):
    """An HTTPS server that says that it is the leader."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b'""')

        def log_message(self, *_args):
            pass

    class Server(HTTPServer):
        def handle_error(self, *_args):
            pass  # a client that does not trust it hangs up

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(loopback_certificate.cert, loopback_certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_tls(secure, loopback_certificate):
    trusting = settings.resolve({"consul": secure}, {"CONSUL_CACERT": str(loopback_certificate.ca)})
    plain = settings.resolve({"consul": secure}, {})
    with Consul.from_settings(trusting) as client:
        assert client.leader() == ""
    async with AsyncConsul.from_settings(trusting) as client:
        assert await client.leader() == ""
    with Consul.from_settings(plain) as client, pytest.raises(RegistryError, match="no trust in the registry") as seen:
        client.leader()
    assert "CONSUL_CACERT" in seen.value.hint
    async with AsyncConsul.from_settings(plain) as client:
        with pytest.raises(RegistryError, match="no trust in the registry"):
            await client.leader()


def test_certificates_that_cannot_be_read_are_a_usage_error(tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    wrong = settings.resolve({}, {"CONSUL_CACERT": str(tmp_path / "no.pem")})
    with pytest.raises(UsageError, match="cannot use the registry's certificates"):
        AsyncConsul.from_settings(wrong)


def test_a_value_that_is_no_text_comes_back(ask, answering):
    body = b'[{"Key": "a", "Value": "%s", "ModifyIndex": 3}]' % base64.b64encode(b"\xff\x00")
    assert ask(answering(200, body), "kv_get", "a").value == b"\xff\x00"

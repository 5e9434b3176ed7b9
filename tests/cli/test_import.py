"""``import``: what moves from a Docker Flow: Proxy, by its JSON or by its keys, and what does not."""

from __future__ import annotations

import contextlib
import json

import pytest

from jenkins_proxy.cli import main
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.docker_flow_import import Imported, from_json, from_keys
from jenkins_proxy.model import Route
from tests.fixtures.http_server import Handler, serving

GO = {
    # As Go writes it: every field, null for an empty list.
    "AclName": "go-demo",
    "AddReqHeader": None,
    "SetResHeader": ["Cache-Control no-cache, no-store"],
    "ServiceName": "go-demo",
    "ServiceDomainAlgo": "",
    "IsDefaultBackend": True,
    "Users": [{"Username": "ann", "Password": "s3cret", "PassEncrypted": False}],
    "Replicas": 3,
    "ServiceDest": [
        {
            "AllowedMethods": ["GET", "HEAD"],
            "CheckTCP": False,
            "HttpsPort": 0,
            "PathType": "",
            "Port": "8080",
            "ReqMode": "http",
            "ServiceDomain": ["a.org", ".b.org"],
            "ServiceHeader": {"X-Version": "3"},
            "ServicePath": ["/demo"],
            "SrcPort": 0,
            "SslVerifyNone": False,
            "UserAgent": {"Value": ["amiga"], "AclName": "amiga"},
            "Index": 0,
        }
    ],
}
TWO = {
    "ServiceName": "two",
    "ServiceDest": [{"ServicePath": ["/a"], "Port": str(port), "SrcPort": port} for port in (80, 81)],
}
TLS = {"ServiceName": "redis", "ServiceDest": [{"Port": "6379", "SrcPort": 6379, "HttpsPort": 443}]}


def test_services_of_the_last_version():
    moved, redis, two = from_json({"go-demo": GO, "redis": TLS, "two": TWO})
    (route,) = moved.routes
    assert route.users[0].startswith("ann:$6$")
    assert route == Route(
        "go-demo", ("/demo",), ("a.org", "*.b.org"), acl_name="go-demo", service_header=("X-Version:3",),
        user_agent=("amiga",),
        is_default_backend=True, allowed_methods=("GET", "HEAD"), users=route.users,
        set_res_header=("Cache-Control no-cache, no-store",),
    )  # fmt: skip
    assert [(one.service, one.src_port) for one in two.routes] == [("two-80", "80"), ("two-81", "81")]
    assert redis == Imported(
        "redis",
        (),
        "httpsPort is not supported: instances are spoken to without TLS; for users there is `serve --tls-bind`",
    )


def test_keys_of_2016():
    pairs = [
        KvPair(f"docker-flow/{key}", value.encode(), 1)
        for key, value in {
            "books-ms/path": "/api/v1/books,/b", "books-ms/skipcheck": "true",
            "books-ms/color": "blue", "books-ms/scale": "3", "other/color": "green",
            "tmpl/path": "/t", "tmpl/consultemplatefepath": "/fe.tmpl",
            "books-ms/domain": ".b.org,a.org", "stars/path": "/", "stars/domain": "*c.org",
            "outside/path": "/o", "outside/hostname": "legacy.example.com", "outside/port": "8080",
        }.items()
    ]  # fmt: skip
    books, outside, stars, tmpl = from_keys(pairs, "docker-flow")
    assert stars.routes == (Route("stars", ("/",), ("c.org",), domain_algo="hdr_end(host)"),)
    assert outside.routes == (Route("outside", ("/o",), outbound_hostname="legacy.example.com:8080"),)
    assert books.routes == (
        Route("books-ms", ("/api/v1/books", "/b"), ("*.b.org", "a.org"), color="blue", skip_check=True),
    )
    assert tmpl.reason.startswith("consulTemplateFePath is not supported")


@pytest.fixture
def old_proxy():
    """The URL of a Docker Flow: Proxy with two services; a daemon of ours is there, too, and keeps what is put."""
    put = []

    class Answers(Handler):
        def do_GET(self):
            config = self.path.endswith("config?type=json")
            self._send({"go-demo": GO, "redis": TLS, "two": TWO} if config else {"routes": []})

        def do_PUT(self):
            route = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if route["service"] == "two-81":
                self._send({"error": {"message": "no live instance of two-81"}}, 409)
                return
            put.append(route)
            self._send({})

        def do_DELETE(self):
            put[:] = [route for route in put if not self.path.startswith(f"/v1/routes/{route['service']}")]
            self._send({})

        def _send(self, data, status=200):
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Answers) as server:
        yield server.url, put


def test_it_shows_first_and_moves_when_told(old_proxy, capsys):
    url, put = old_proxy
    assert main(["import", "--from", url]) == 1
    told = capsys.readouterr().out
    assert "go-demo: moves: paths /demo, domains a.org *.b.org, " in told
    assert "redis: does not move: httpsPort is not supported" in told
    assert "s3cret" not in told
    assert put == []

    assert main(["import", "--from", url, "--apply", "--json", "--proxy", url]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["service"], one["moves"]) for one in found] == [("go-demo", True), ("redis", False), ("two", False)]
    # Both of its destinations or none.
    assert found[2]["reason"].endswith("no live instance of two-81")
    assert found[0]["routes"][0]["users"] == ["ann:<hidden>"]
    assert [(route["service"], route["users"][0][:7]) for route in put] == [("go-demo", "ann:$6$")]


def test_it_reads_the_keys_without_an_address(consul_url, capsys):
    with contextlib.closing(Consul(consul_url)) as registry:
        registry.kv_put("my-proxy/books-ms/path", b"/api/v1/books")
    assert main(["import", "--instance", "my-proxy", "--consul", consul_url]) == 0
    assert capsys.readouterr().out == "books-ms: moves: paths /api/v1/books\n"


def test_nobody_there(free_port, capsys):
    assert main(["import", "--from", f"http://127.0.0.1:{free_port()}"]) == 4
    assert "no Docker Flow: Proxy answers at" in capsys.readouterr().err

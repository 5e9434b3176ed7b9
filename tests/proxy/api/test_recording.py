"""The API's calls in the audit: who, what, with which result, and the ID in every answer."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.access.tokens import Token, Tokens
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator, guard_of
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter

PREFIX = "/v1/docker-flow-proxy"
BOOKS = {"paths": ["/api/v1/books"]}
HERE = {"addresses": ["10.0.0.1:32768"]}
HOLD = {"route": BOOKS, "key_sha256": "ab" * 32, "holder": {"name": "me@host:1"}, "timeout": 60}
RECONFIGURE = {"serviceName": "books-ms", "servicePath": "/a"}


@pytest.fixture
def audit() -> Audit:
    return Audit()


@pytest.fixture
async def client(proxy_service, hold_service, audit, certificates):
    tokens = Tokens([Token(Role.READ, "reader", "dashboard"), Token(Role.CHANGE, "changer", "ci")])
    authenticator, waiter = Authenticator(tokens), RouteWaiter(proxy_service, registry=None)
    api = app.application(
        authenticator,
        audit,
        Routes(proxy_service, waiter, authenticator),
        HoldRoutes(hold_service),
        DockerFlow(proxy_service, waiter, certificates),
        Certificates(certificates),
        app.Meta(proxy_service),
    )
    async with TestClient(TestServer(api)) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "more", "action", "service", "status"),
    [
        ("PUT", "/v1/routes/books-ms", {"json": BOOKS}, "put route", "books-ms", 200),
        ("PUT", "/v1/routes/books-ms?dryRun=true", {"json": BOOKS}, "put route (dry run)", "books-ms", 200),
        ("PUT", "/v1/routes/books-ms", {"json": {"paths": ["x"]}}, "put route", "books-ms", 400),
        ("DELETE", "/v1/routes/absent", {}, "remove route", "absent", 404),
        ("POST", "/v1/routes/books-ms/drain", {"json": {"addresses": 1}}, "drain", "books-ms", 400),
        ("POST", "/v1/routes/books-ms/resume", {"json": {}}, "resume", "books-ms", 400),
        ("PUT", "/v1/routes/books-ms/hold", {"json": HOLD}, "hold", "books-ms", 200),
        ("POST", "/v1/routes/books-ms/promote", {"json": {**HERE, "id": "0123abcd"}}, "promote", "books-ms", 200),
        ("POST", "/v1/routes/books-ms/demote", {"json": {"id": "0123abcd"}}, "demote", "books-ms", 200),
        ("DELETE", "/v1/routes/books-ms/hold", {}, "end hold", "books-ms", 200),
        ("GET", f"{PREFIX}/reconfigure", {"params": RECONFIGURE}, "reconfigure", "books-ms", 200),
        ("POST", f"{PREFIX}/reconfigure/", {"data": RECONFIGURE}, "reconfigure", "books-ms", 200),
        (
            "POST",
            f"{PREFIX}/reconfigure",
            {"data": {**RECONFIGURE, "dryRun": "t"}},
            "reconfigure (dry run)",
            "books-ms",
            200,
        ),
        ("GET", f"{PREFIX}/remove", {"params": {"serviceName": "a b"}}, "remove", "a b", 400),
        ("GET", f"{PREFIX}/reload", {}, "reload", "", 200),
        ("PUT", "/v1/certs/shop", {"data": b"-----BEGIN CERTIFICATE-----"}, "put certificate", "shop", 200),
        ("DELETE", "/v1/certs/shop", {}, "remove certificate", "shop", 404),
        ("PUT", f"{PREFIX}/cert", {"params": {"certName": "shop"}}, "put certificate", "shop", 400),
    ],
)
async def test_a_change_is_recorded_with_its_result(client, audit, method, path, more, action, service, status) -> None:
    headers = {"Authorization": "Bearer changer", "X-Request-ID": "build-7"}
    answer = await client.request(method, path, headers=headers, **more)
    assert (answer.status, answer.headers["X-Request-ID"]) == (status, "build-7")
    (entry,) = audit.latest(10)
    assert (entry.caller, entry.credential, entry.peer) == ("ci", "token", "127.0.0.1")
    assert (entry.action, entry.service, entry.status, entry.request_id) == (action, service, status, "build-7")


@pytest.mark.parametrize(("token", "caller", "status"), [("reader", "dashboard", 403), ("wrong", "anonymous", 401)])
async def test_who_may_not_is_recorded_too(client, audit, proxy_service, token: str, caller: str, status: int) -> None:
    answer = await client.delete("/v1/routes/books-ms", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, proxy_service.calls) == (status, [])
    (entry,) = audit.latest(10)
    assert (entry.caller, entry.status, entry.request_id) == (caller, status, answer.headers["X-Request-ID"])


async def test_what_fails_is_recorded_with_its_failure(client, audit, proxy_service) -> None:
    for failure, status in ((ProxyError("HAProxy could not be reloaded"), 503), (RuntimeError("a bug"), 500)):
        proxy_service.failure = failure
        headers = {"Authorization": "Bearer changer"}
        assert (await client.put("/v1/routes/books-ms", json=BOOKS, headers=headers)).status == status
        assert audit.latest(1)[0].status == status


async def test_what_is_read_is_not_recorded_and_has_an_id(client, audit) -> None:
    ids = set()
    for path in ("/v1/routes", "/healthz", "/absent", "/v1/audit"):
        answer = await client.get(path, headers={"Authorization": "Bearer reader"})
        ids.add(answer.headers["X-Request-ID"])
    assert (len(ids), audit.latest(10)) == (4, [])


async def test_the_record_is_for_those_who_may_read(client) -> None:
    assert (await client.get("/v1/audit")).status == 401
    await client.delete("/v1/routes/absent", headers={"Authorization": "Bearer changer"})
    reader = {"Authorization": "Bearer reader"}
    (change,) = (await (await client.get("/v1/audit", headers=reader)).json())["changes"]
    assert (change["caller"], change["action"], change["service"], change["status"]) == (
        "ci",
        "remove route",
        "absent",
        404,
    )
    assert (await (await client.get("/v1/audit?limit=0", headers=reader)).json())["changes"] == []
    assert (await client.get("/v1/audit?limit=x", headers=reader)).status == 400


async def test_every_call_that_changes_routes_is_recorded(client) -> None:
    guards = [guard_of(route.handler) for route in client.server.app.router.routes()]
    assert [guard for guard in guards if guard and guard.role is Role.CHANGE and not guard.action] == []

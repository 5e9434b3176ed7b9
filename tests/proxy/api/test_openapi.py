"""The description of the API against its handlers: every call is in both, and what is answered fits its schema."""

from __future__ import annotations

import re
from typing import Any

import fastjsonschema
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.access.tokens import Tokens
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator, guard_of
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.counts import UserCounts
from jenkins_proxy.proxy.api.dashboard import Dashboard
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.docker_flow.params import parse_reconfigure
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.api.openapi.docker_flow_operations import docker_flow_operations
from jenkins_proxy.proxy.api.openapi.document import document
from jenkins_proxy.proxy.api.releases import Releases
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.certificates.service import CertificateState
from jenkins_proxy.proxy.events import Event, EventLog
from jenkins_proxy.proxy.models import ConflictError, ProxyState
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.proxy.telemetry.haproxy_stats import TrafficReader
from jenkins_proxy.proxy.telemetry.metrics import Meter
from jenkins_proxy.route_options.query import Query

PREFIX = "/v1/docker-flow-proxy"
BOOKS = {"paths": ["/api/v1/books"], "skip_check": True, "slow_start": 1.5}
HERE = {"addresses": ["10.0.0.1:32768"]}
HOLD = {"route": {"paths": ["/a"]}, "key_sha256": "ab" * 32, "holder": {"name": "me@host:1"}, "timeout": 60}
DOCKER_FLOWS = {operation.path for operation in docker_flow_operations()}
STATS = "# pxname,svname,rate,scur,econ,hrsp_2xx\nbooks-ms-be,BACKEND,7,2,3,1200\n"


@pytest.fixture
async def application(proxy_service, hold_service, counting, certificates, files, history) -> web.Application:
    async def ask(_command: str) -> list[str]:
        return [STATS]

    event_log = EventLog(epoch=1000)
    event_log.add(Event(1.0, "instance-up", "books-ms", Address("10.0.0.1", 80)))
    # None of these calls comes to a wait.
    waiter, authenticator = RouteWaiter(proxy_service, registry=None), Authenticator(Tokens())
    about = {"registry": "http://127.0.0.1:8500", "embedded": True, "entry": "*:80"}
    return app.application(
        authenticator,
        Audit(),
        Routes(proxy_service, waiter, authenticator),
        HoldRoutes(hold_service),
        UserCounts(counting),
        DockerFlow(proxy_service, waiter, certificates),
        Certificates(certificates),
        Dashboard(proxy_service, event_log, Meter(), TrafficReader(ask), about, certificates=certificates, files=files),
        EventStream(event_log, Authenticator(Tokens())),
        Releases(history),
        app.Meta(proxy_service),
    )


@pytest.fixture
async def client(application):
    async with TestClient(TestServer(application)) as client:
        yield client


def described() -> dict[tuple[str, str], dict[str, Any]]:
    """The operations by method and path."""
    return {
        (method.upper(), path): operation
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    }


def registered(application: web.Application) -> dict[tuple[str, str], Any]:
    """The handlers by method and path. Of HEAD none is described: it is a GET without its answer's body."""
    return {
        (route.method, route.resource.canonical): route.handler
        for route in application.router.routes()
        if route.method != "HEAD"
    }


def check(schema: dict[str, Any], data: Any) -> None:
    """:raises fastjsonschema.JsonSchemaValueException: when the data do not fit."""
    fastjsonschema.compile({**schema, "components": document()["components"]})(data)


async def test_every_call_is_described_and_every_description_is_a_call(application) -> None:
    assert described().keys() == registered(application).keys()


async def test_it_says_which_role_a_call_needs(application) -> None:
    guards = {call: guard_of(handler) for call, handler in registered(application).items()}
    roles = {call: [{"token": [guard.role]}, {"certificate": [guard.role]}] for call, guard in guards.items() if guard}
    assert {call: operation["security"] for call, operation in described().items() if "security" in operation} == roles
    assert {guard.role for guard in guards.values() if guard} == set(Role)


def test_the_document_holds_together() -> None:
    made = document()
    assert made["openapi"] == "3.1.0"
    for (method, path), operation in described().items():
        where = f"{method} {path}"
        in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), where
        names = [(one["name"], one["in"]) for one in operation["parameters"]]
        assert len(names) == len(set(names)), where
        assert all(response["description"] for response in operation["responses"].values()), where
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(made)))
    assert references == made["components"]["schemas"].keys() - {"Event"}, "each schema is used; events are in a stream"
    for name in made["components"]["schemas"]:
        fastjsonschema.compile({"$ref": f"#/components/schemas/{name}", "components": made["components"]})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/v1/routes/books-ms?diff=true", BOOKS, 200),
        ("PUT", "/v1/routes/books-ms?dryRun=true&diff=true", BOOKS, 200),
        ("PUT", "/v1/routes/books-ms", {}, 400),
        ("GET", "/v1/routes", None, 200),
        ("GET", "/v1/routes/books-ms", None, 200),
        ("GET", "/v1/routes/absent", None, 404),
        ("POST", "/v1/routes/books-ms/drain", {**HERE, "timeout": 1.5}, 200),
        ("POST", "/v1/routes/books-ms/drain", {**HERE, "stream_timeout": 0}, 200),
        ("POST", "/v1/routes/books-ms/resume", HERE, 200),
        ("PUT", "/v1/routes/books-ms/hold", HOLD, 200),
        ("PUT", "/v1/routes/books-ms/hold", {**HOLD, "replace": "0123abcd", "before": []}, 200),
        ("PUT", "/v1/routes/books-ms/hold", {**HOLD, "key_sha256": "the-key-itself"}, 400),
        ("POST", "/v1/routes/books-ms/promote", {**HERE, "id": "0123abcd"}, 200),
        ("POST", "/v1/routes/books-ms/promote", {**HERE, "id": "0123abcd", "keep": [], "timeout": 5}, 200),
        ("POST", "/v1/routes/books-ms/promote", HERE, 400),
        ("POST", "/v1/routes/books-ms/demote", {"id": "0123abcd"}, 200),
        ("DELETE", "/v1/routes/books-ms/hold?id=0123abcd", None, 200),
        ("DELETE", "/v1/routes/books-ms/hold", None, 200),
        ("POST", "/v1/routes/books-ms/count", {"id": "4f1c"}, 200),
        ("POST", "/v1/routes/books-ms/count", {"id": "a b"}, 400),
        ("GET", "/v1/routes/counted/count", None, 200),
        ("GET", "/v1/routes/books-ms/count", None, 404),
        ("DELETE", "/v1/routes/counted/count?id=4f1c", None, 200),
        ("DELETE", "/v1/routes/counted/count?id=other", None, 404),
        ("DELETE", "/v1/routes/counted/count", None, 400),
        ("DELETE", "/v1/routes/books-ms?dryRun=true", None, 200),
        ("DELETE", "/v1/routes/books-ms", None, 200),
        ("DELETE", "/v1/routes/absent", None, 404),
        ("GET", "/v1/state", None, 200),
        ("GET", "/v1/state?limit=x", None, 400),
        ("GET", "/v1/access", None, 200),
        ("GET", "/v1/audit", None, 200),
        ("GET", "/v1/audit?limit=x", None, 400),
        ("GET", "/v1/releases/books-ms", None, 200),
        ("GET", "/v1/releases/absent", None, 200),
        ("GET", "/v1/releases/-x", None, 400),
        ("GET", "/v1/releases/away", None, 503),
        ("GET", "/healthz", None, 200),
        ("GET", "/v1/openapi.json", None, 200),
        ("GET", f"{PREFIX}/reconfigure?serviceName=books-ms&servicePath=/a", None, 200),
        ("POST", f"{PREFIX}/reconfigure/?serviceName=books-ms", None, 400),
        ("GET", f"{PREFIX}/remove?serviceName=books-ms", None, 200),
        ("GET", f"{PREFIX}/ping", None, 200),
        ("GET", "/v2/test/", None, 200),
    ],
)
async def test_what_is_asked_and_answered_fits_its_schema(
    client, proxy_service, counting, method, path, body, status
) -> None:
    counting.running["counted"] = "4f1c"
    await client.put("/v1/routes/books-ms", json=BOOKS)
    operation = described()[
        method, re.sub(r"/v1/(routes|releases)/[\w-]+", r"/v1/\1/{service}", path.partition("?")[0])
    ]
    if body is not None and status == 200:
        check(operation["requestBody"]["content"]["application/json"]["schema"], body)
    async with client.request(method, path, json=body) as answer:
        assert answer.status == status
        check(operation["responses"][str(status)]["content"]["application/json"]["schema"], await answer.json())


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/v1/certs/{name}", b"-----BEGIN CERTIFICATE-----", 200),
        ("PUT", "/v1/certs/{name}", b"\x00\xff", 400),
        ("GET", "/v1/certs", None, 200),
        ("GET", "/v1/state", None, 200),
        ("DELETE", "/v1/certs/{name}", None, 200),
        ("PUT", f"{PREFIX}/cert", b"-----BEGIN CERTIFICATE-----", 200),
        ("PUT", f"{PREFIX}/cert/", b"", 400),
        ("GET", f"{PREFIX}/certs", None, 200),
    ],
)
async def test_certificates_fit_their_schema_and_tell_no_key(client, certificates, method, path, body, status) -> None:
    certificates.known["one"] = certificates.serving("one")
    certificates.known["bad"] = CertificateState("bad", None, "/certs/bad.pem", problem="it holds no private key")
    query = {"certName": "one.pem"} if path.startswith(PREFIX) else {}
    async with client.request(method, path.format(name="one.pem"), params=query, data=body) as answer:
        assert answer.status == status
        assert "PRIVATE" not in await answer.text()
        schema = described()[method, path]["responses"][str(status)]["content"]["application/json"]["schema"]
        check(schema, await answer.json())


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ("-----BEGIN CERTIFICATE-----\\nabc\\n-----BEGIN PRIVATE KEY-----\\nxyz", 200, ""),
        ("rubbish", 400, "the certificate books-ms is refused: it holds no certificate in PEM"),
    ],
)
async def test_service_cert_is_the_certificate_of_that_name_and_is_not_repeated(
    client, certificates, proxy_service, given, status, message
) -> None:
    query = {"serviceName": "books-ms", "servicePath": "/a", "serviceCert": given}
    async with client.get(f"{PREFIX}/reconfigure", params=query) as answer:
        assert answer.status == status
        said = await answer.json()
    assert (said["Message"], said["ServiceCert"]) == (message, "")
    expected = [given.replace("\\n", "\n").encode()] if status == 200 else []
    assert certificates.bodies == expected
    assert ("books-ms" in proxy_service.routes) is (status == 200)


async def test_docker_flows_cert_needs_a_name(client) -> None:
    async with client.put(f"{PREFIX}/cert", data=b"-----BEGIN CERTIFICATE-----") as answer:
        assert answer.status == 400
        assert (await answer.json())["Message"] == "Query parameter certName is mandatory"
    async with client.delete("/v1/certs/absent") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("method", "path", "failure", "status"),
    [
        ("PUT", "/v1/routes/books-ms?wait=0", ConflictError("no live instance", "wait"), 409),
        ("PUT", "/v1/routes/books-ms", ProxyError("HAProxy could not be reloaded"), 503),
        ("GET", f"{PREFIX}/reload", ProxyError("HAProxy could not be reloaded"), 500),
    ],
)
async def test_failures_fit_their_schema(client, proxy_service, method, path, failure, status) -> None:
    proxy_service.failure = failure
    operation = described()[method, re.sub(r"/v1/routes/[\w-]+", "/v1/routes/{service}", path.partition("?")[0])]
    async with client.request(method, path, json=BOOKS if method == "PUT" else None) as answer:
        assert answer.status == status
        check(operation["responses"][str(status)]["content"]["application/json"]["schema"], await answer.json())


async def test_a_proxy_that_does_not_serve_fits_its_schema(client, proxy_service) -> None:
    proxy_service.proxy = ProxyState(7, serving=False, routes=(), problem="HAProxy died")
    async with client.get("/healthz") as answer:
        assert answer.status == 503
        check(
            described()["GET", "/healthz"]["responses"]["503"]["content"]["application/json"]["schema"],
            await answer.json(),
        )


async def test_a_parameter_that_a_call_does_not_have_is_refused_before_anything_is_done(client, proxy_service) -> None:
    own = [call for call in described() if call[1].startswith("/v1/") and call[1] not in DOCKER_FLOWS]
    for method, path in own:
        url = path.format(service="books-ms", name="one")
        async with client.request(method, url, params={"surprise": "s3cret"}) as answer:
            assert answer.status == 400, f"{method} {path}"
            said = await answer.json()
        check(described()[method, path]["responses"]["400"]["content"]["application/json"]["schema"], said)
        assert said["error"]["message"] == f"{method} {url} has no query parameter 'surprise'"
        assert "s3cret" not in said["error"]["hint"]
    assert proxy_service.calls == []
    assert len(own) > 15


@pytest.mark.parametrize(
    ("method", "path", "message", "hint"),
    [
        ("PUT", "?allow_empty=true", "'allow_empty' (is allowEmpty meant?)", "wait, proxies, allowEmpty, takeOver"),
        ("PUT", "?dryrun=1&x=1&x=2", "'dryrun' (is dryRun meant?), 'x'", "known: "),
        ("PUT", "?%ff=1", "'\ufffd'", "known: "),
        ("DELETE", "?proxy=3", "'proxy' (is proxies meant?)", "known: proxies, dryRun"),
        ("GET", "?token=s3cret", "'token'", "it takes none; a token goes into the header Authorization"),
        ("HEAD", "?wait=1", "", ""),
    ],
)
async def test_the_nearest_parameter_is_named(client, method, path, message, hint) -> None:
    async with client.request(method, URL(f"/v1/routes/books-ms{path}", encoded=True), json=BOOKS) as answer:
        assert answer.status == 400
        if method != "HEAD":
            said = (await answer.json())["error"]
            assert said["message"].endswith(f" has no query parameter {message}")
            assert hint in said["hint"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/", "/v1/test", f"{PREFIX}/ping"])
async def test_what_is_open_and_docker_flows_calls_take_any_parameter(client, path) -> None:
    async with client.get(path, params={"from": "load-balancer"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "verb", "body"),
    [
        ("PUT", "", {**BOOKS, "checkPath": "/a"}),
        ("PUT", "/hold", {**HOLD, "time_out": 5}),
        ("POST", "/promote", {**HERE, "id": "0123abcd", "time_out": 5}),
        ("POST", "/demote", {"id": "0123abcd", "force": True}),
        ("POST", "/drain", {**HERE, "streamTimeout": 5}),
        ("POST", "/resume", {**HERE, "timeout": 5}),
        ("POST", "/count", {"id": "4f1c", "ID": "4f1c"}),
    ],
)
async def test_a_field_that_a_body_does_not_have_is_refused(client, proxy_service, method, verb, body) -> None:
    async with client.request(method, f"/v1/routes/books-ms{verb}", json=body) as answer:
        assert answer.status == 400
        assert f"the body has unknown fields: {list(body)[-1]}" in (await answer.json())["error"]["message"]
    assert proxy_service.calls == []


@pytest.mark.parametrize("body", [{"path": ["/a"]}, {"paths": "/a"}, {"paths": ["/a"], "skip_check": "yes"}, {}])
def test_what_the_handler_refuses_does_not_fit(body) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        check({"$ref": "#/components/schemas/RouteBody"}, body)


def test_a_route_has_every_field_and_default() -> None:
    properties = document()["components"]["schemas"]["Route"]["properties"]
    defaults = Route("books-ms").as_dict()
    assert properties.keys() == defaults.keys()
    assert {name: one["default"] for name, one in properties.items() if "default" in one} == {
        name: value for name, value in defaults.items() if name != "service"
    }


@pytest.mark.parametrize("verb", ["reconfigure", "remove"])
def test_docker_flow_parameters_mean_something(verb: str) -> None:
    names = [one["name"] for one in described()["GET", f"{PREFIX}/{verb}"]["parameters"]]
    values = {"serviceName": "books-ms", "servicePath": "/a", "outboundHostname": "a.local", "port": "80"}
    pairs = [(name, values.get(name, "")) for name in names]
    if verb == "reconfigure":
        assert parse_reconfigure(Query(pairs)).ignored == ()
    assert set(names) >= {"serviceName", "dryRun"}

"""The description of the API, as an OpenAPI 3.1 document: a table of the calls, and their schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jenkins_proxy import __version__
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api.openapi.operation import TEXT, Operation, Parameter
from jenkins_proxy.proxy.api.openapi.schemas import schemas
from jenkins_proxy.proxy.api.params import MAX_PROXIES
from jenkins_proxy.proxy.timing import Timing
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS

DOCKER_FLOW = "/v1/docker-flow-proxy"
_FLAG = {"type": "boolean", "default": False}
_SERVICE = Parameter("service", "The service's name.", TEXT, "path", required=True)
_DRY_RUN = Parameter("dryRun", "Change nothing, and say what would be.", _FLAG)
_TAKE_OVER = Parameter("takeOver", "Take paths and domains from the routes of other services.", _FLAG)
_ALLOW_EMPTY = Parameter("allowEmpty", "Take the route although no instance is live.", _FLAG)
_WAIT = Parameter(
    "wait",
    "Seconds to wait for a first instance.",
    {"type": "number", "minimum": 0, "maximum": 300, "default": 30},
)
_PROXIES = Parameter(
    "proxies",
    "Seconds to wait until every live proxy serves the change.",
    {"type": "number", "minimum": 0, "maximum": MAX_PROXIES, "default": Timing().proxies_wait},
)
_RECONFIGURE = (
    *(
        Parameter(
            option.docker_flow,
            f"{option.meaning[0].upper()}{option.meaning[1:]}.",
            _FLAG if option.kind is Kind.FLAG else TEXT,
            required=option.name == "service",
        )
        for option in OPTIONS
        if option.docker_flow
    ),
    Parameter("port", "The port of outboundHostname.", TEXT),
    _WAIT,
    _ALLOW_EMPTY,
    _TAKE_OVER,
    _DRY_RUN,
)
_REMOVE = (Parameter("serviceName", "The service whose route goes.", TEXT, required=True), _DRY_RUN)
_EVENT_POSITION = (
    Parameter("after", "The ID of an event: what came after it is sent first.", TEXT),
    Parameter("Last-Event-ID", "The same, as browsers send it.", TEXT, "header"),
)
_LIMIT = Parameter("limit", "How many.", {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100})
_STATE_QUERY = (
    Parameter("search", "Only routes whose service, paths or domains hold this text.", TEXT),
    Parameter("trouble", "Only routes in trouble.", _FLAG),
    _LIMIT,
)


def operations() -> Iterator[Operation]:
    """Every call of the API."""
    yield Operation("get", "/v1/routes", "All routes with their instances.", "RouteList", role=Role.READ)
    yield Operation(
        "get",
        "/v1/routes/{service}",
        "One route.",
        "RouteState",
        parameters=(_SERVICE,),
        role=Role.READ,
        errors=(400, 404),
    )
    yield Operation(
        "put",
        "/v1/routes/{service}",
        "Make a route serve; answers when HAProxy serves it.",
        "RouteState",
        parameters=(
            _SERVICE,
            _WAIT,
            _PROXIES,
            _ALLOW_EMPTY,
            _TAKE_OVER,
            _DRY_RUN,
            Parameter("diff", "Add what it changes.", _FLAG),
        ),
        body="RouteBody",
        role=Role.CHANGE,
        errors=(400, 409, 503),
    )
    yield Operation(
        "delete",
        "/v1/routes/{service}",
        "Take a route away.",
        "Removal",
        parameters=(_SERVICE, _PROXIES, _DRY_RUN),
        role=Role.CHANGE,
        errors=(400, 404, 503),
    )
    for verb, text, body in (
        ("drain", "No new requests to instances; answers when they are idle.", "DrainBody"),
        ("resume", "The opposite of drain.", "Addresses"),
    ):
        yield Operation(
            "post",
            f"/v1/routes/{{service}}/{verb}",
            text,
            "RouteState",
            parameters=(_SERVICE, _PROXIES),
            body=body,
            role=Role.CHANGE,
            errors=(400, 404, 503),
        )
    yield from _holds()
    yield from _counts()
    yield from _certificates()
    yield Operation(
        "get",
        "/v1/events",
        "What happens, as server-sent events; the data of each is the schema Event.",
        media="text/event-stream",
        parameters=_EVENT_POSITION,
        role=Role.READ,
        errors=(503,),
    )
    yield Operation(
        "get",
        "/v1/state",
        "What the page shows.",
        "State",
        parameters=_STATE_QUERY,
        role=Role.READ,
        errors=(400,),
    )
    yield Operation(
        "get",
        "/v1/audit",
        "Who changed what: the last changes that were asked for, the newest first.",
        "Audit",
        parameters=(_LIMIT,),
        role=Role.READ,
        errors=(400,),
    )
    yield Operation(
        "get",
        "/v1/releases/{service}",
        "The last releases of a service, the newest first.",
        "ReleaseList",
        parameters=(_SERVICE,),
        role=Role.READ,
        errors=(400, 503),
    )
    yield Operation("get", "/metrics", "Metrics in Prometheus' text format.", media="text/plain")
    yield Operation("get", "/healthz", "Whether the proxy serves.", "Health", errors=(503,))
    yield Operation(
        "get", "/readyz", "Whether the proxy serves and every part of the daemon runs.", "Health", errors=(503,)
    )
    yield Operation("get", "/v1/openapi.json", "This document.", "OpenAPI")
    for path, media in (("/", "text/html"), ("/dashboard/style.css", "text/css")):
        yield Operation("get", path, "The page.", media=media)
    yield Operation(
        "get", "/releases/{service}", "The page of a service's releases.", media="text/html", parameters=(_SERVICE,)
    )
    for name in ("access", "page", "releases"):
        yield Operation("get", f"/dashboard/{name}.js", "The page's scripts.", media="text/javascript")
    yield from _docker_flow()


def _holds() -> Iterator[Operation]:
    """What a deploy asks for its candidates."""
    for method, verb, text, body in (
        ("put", "hold", "Keep from users what joins a service from now on.", "HoldBody"),
        ("post", "promote", "Let users meet these instances, and no longer those of before.", "PromoteBody"),
        ("post", "demote", "Let users meet those of before again.", "HoldName"),
    ):
        yield Operation(
            method,
            f"/v1/routes/{{service}}/{verb}",
            f"{text} Answers when every live proxy does, or names those that lag.",
            "HoldState",
            parameters=(_SERVICE,) if verb == "promote" else (_SERVICE, _PROXIES),
            body=body,
            role=Role.CHANGE,
            errors=(400, 404, 409, 503) if method == "post" else (400, 409, 503),
        )
    yield Operation(
        "delete",
        "/v1/routes/{service}/hold",
        "End a hold. The route of one that is promoted becomes the service's.",
        "HoldState",
        parameters=(_SERVICE, _PROXIES, Parameter("id", "Only the hold with this ID.", TEXT)),
        role=Role.CHANGE,
        errors=(400, 503),
    )


def _counts() -> Iterator[Operation]:
    """How many requests users make."""
    path, answer = "/v1/routes/{service}/count", "UserCounts"
    yield Operation(
        "post",
        path,
        "Count the requests of users; answers when all live proxies do.",
        answer,
        parameters=(_SERVICE,),
        body="CountBody",
        role=Role.CHANGE,
        errors=(400, 503),
    )
    yield Operation(
        "get",
        path,
        "The requests of users so far, in all proxies.",
        answer,
        parameters=(_SERVICE,),
        role=Role.READ,
        errors=(404, 503),
    )
    identity = Parameter("id", "The count's ID.", TEXT, required=True)
    yield Operation(
        "delete",
        path,
        "End a count; its result, of all proxies.",
        answer,
        parameters=(_SERVICE, identity),
        role=Role.CHANGE,
        errors=(400, 404, 503),
    )


def _certificates() -> Iterator[Operation]:
    """The certificates that users meet."""
    name = Parameter("name", "The certificate's name.", TEXT, "path", required=True)
    yield Operation(
        "get", "/v1/certs", "The certificates: their names and ends, never a key.", "CertificateList", role=Role.READ
    )
    yield Operation(
        "put",
        "/v1/certs/{name}",
        "Serve a certificate: PEM with its chain and its key.",
        "CertificateState",
        parameters=(name,),
        text_body="application/x-pem-file",
        role=Role.CHANGE,
        errors=(400, 409, 503),
    )
    yield Operation(
        "delete",
        "/v1/certs/{name}",
        "Serve a certificate no longer that came by the API.",
        "CertificateRemoval",
        parameters=(name,),
        role=Role.CHANGE,
        errors=(400, 404, 409, 503),
    )
    answer = "DockerFlowCertificates"
    for slash in ("", "/"):
        yield Operation(
            "put",
            f"{DOCKER_FLOW}/cert{slash}",
            "Docker Flow: Proxy's cert: as PUT /v1/certs.",
            answer,
            parameters=(Parameter("certName", "The certificate's name.", TEXT, required=True),),
            text_body="application/x-pem-file",
            role=Role.CHANGE,
            errors=(400, 409, 500),
            error=answer,
        )
        yield Operation(
            "get",
            f"{DOCKER_FLOW}/certs{slash}",
            "Docker Flow: Proxy's certs, without the keys.",
            answer,
            role=Role.READ,
        )


def _docker_flow() -> Iterator[Operation]:
    """Docker Flow: Proxy's calls: by GET and POST, with and without a slash at the end."""
    answer = "DockerFlowAnswer"
    prefix = DOCKER_FLOW
    for method in ("get", "post"):
        for slash in ("", "/"):
            for path, text, parameters, errors in (
                (f"{prefix}/reconfigure", "Docker Flow: Proxy's reconfigure.", _RECONFIGURE, (400, 409, 500)),
                (f"{prefix}/remove", "Docker Flow: Proxy's remove.", _REMOVE, (400, 500)),
            ):
                yield Operation(
                    method,
                    path + slash,
                    text,
                    answer,
                    parameters=parameters,
                    role=Role.CHANGE,
                    errors=errors,
                    error=answer,
                )
            yield Operation(
                method,
                f"{prefix}/reload{slash}",
                "Docker Flow: Proxy's reload: an empty answer.",
                media="application/octet-stream",
                role=Role.CHANGE,
                errors=(500,),
                error=answer,
            )
            yield Operation(
                method, f"{prefix}/config{slash}", "The haproxy.cfg that runs.", media="text/plain", role=Role.READ
            )
            for path in (f"{prefix}/ping", "/v1/test", "/v2/test"):
                yield Operation(method, path + slash, "Whether the daemon answers.", answer)


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations():
        paths.setdefault(operation.path, {})[operation.method] = operation.as_dict()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jenkins-proxy serve",
            "version": __version__,
            "description": "The daemon that owns HAProxy's configuration. Where it has tokens or asks for client "
            "certificates, a call needs one with the role that its security names, or with the role change.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas(), "OpenAPI": {"type": "object"}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "certificate": {"type": "mutualTLS"}},
        },
    }

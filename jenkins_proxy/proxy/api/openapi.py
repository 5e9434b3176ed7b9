"""The description of the API, as an OpenAPI 3.1 document: a table of the calls, and their schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import __version__
from jenkins_proxy.proxy.api.openapi_schemas import reference, schemas
from jenkins_proxy.route_options import OPTIONS, Kind

JSON = "application/json"
DOCKER_FLOW = "/v1/docker-flow-proxy"
_TEXT = {"type": "string"}
_FLAG = {"type": "boolean", "default": False}
_ERRORS = {
    400: "A value is not allowed, or HAProxy refuses the route.",
    401: "The token is missing or wrong.",
    403: "The request looks like one that a web page makes, or its Host is unknown.",
    404: "There is no such route, no such count, or no such certificate.",
    409: "No live instance, another service has one of the paths, or another deploy holds the service, or "
    "the certificate is a file's.",
    500: "Docker Flow: Proxy's status for every other failure.",
    503: "HAProxy or the registry does not answer, or HAProxy does not serve.",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a call.

    :ivar place: ``query``, ``path`` or ``header``.
    """

    name: str
    description: str
    schema: dict[str, Any]
    place: str = "query"
    required: bool = False

    def as_dict(self) -> dict[str, Any]:
        """In the document's form."""
        return {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "required": self.required,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class Operation:
    """A call.

    :ivar path: with parameters as ``{name}``.
    :ivar answer: the name of the schema of a good answer; empty for one that is no JSON.
    :ivar media: of a good answer.
    :ivar body: the name of the schema of the request's body; empty without one.
    :ivar text_body: the media type of a request's body that is text; empty without one.
    :ivar guarded: whether it changes something or shows a secret, and needs the token where there is one.
    :ivar errors: the statuses of failures.
    :ivar error: the name of the schema of a failure.
    """

    method: str
    path: str
    summary: str
    answer: str = ""
    media: str = JSON
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    text_body: str = ""
    guarded: bool = False
    errors: tuple[int, ...] = ()
    error: str = "Error"

    def as_dict(self) -> dict[str, Any]:
        """In the document's form."""
        good = reference(self.answer) if self.answer else _TEXT
        responses = {"200": {"description": "Done.", "content": {self.media: {"schema": good}}}}
        for status in self.errors:
            responses[str(status)] = _failure(status, self.error)
        if self.guarded:
            responses.update({str(status): _failure(status, "Error") for status in (401, 403)})
        operation: dict[str, Any] = {
            "summary": self.summary,
            "parameters": [parameter.as_dict() for parameter in self.parameters],
            "responses": responses,
        }
        if self.body:
            operation["requestBody"] = {"required": True, "content": {JSON: {"schema": reference(self.body)}}}
        if self.text_body:
            operation["requestBody"] = {"required": True, "content": {self.text_body: {"schema": _TEXT}}}
        if self.guarded:
            operation["security"] = [{"token": []}]
        return operation


def _failure(status: int, schema: str) -> dict[str, Any]:
    return {"description": _ERRORS[status], "content": {JSON: {"schema": reference(schema)}}}


_SERVICE = Parameter("service", "The service's name.", _TEXT, "path", required=True)
_DRY_RUN = Parameter("dryRun", "Change nothing, and say what would be.", _FLAG)
_ALLOW_EMPTY = Parameter("allowEmpty", "Take the route although no instance is live.", _FLAG)
_WAIT = Parameter(
    "wait",
    "Seconds to wait for a first instance.",
    {"type": "number", "minimum": 0, "maximum": 300, "default": 30},
)
_RECONFIGURE = (
    *(
        Parameter(
            option.docker_flow,
            f"{option.meaning[0].upper()}{option.meaning[1:]}.",
            _FLAG if option.kind is Kind.FLAG else _TEXT,
            required=option.name == "service",
        )
        for option in OPTIONS
        if option.docker_flow
    ),
    Parameter("port", "The port of outboundHostname.", _TEXT),
    _WAIT,
    _ALLOW_EMPTY,
    _DRY_RUN,
)
_REMOVE = (Parameter("serviceName", "The service whose route goes.", _TEXT, required=True), _DRY_RUN)
_EVENT_POSITION = (
    Parameter("after", "The ID of an event: what came after it is sent first.", _TEXT),
    Parameter("Last-Event-ID", "The same, as browsers send it.", _TEXT, "header"),
)
_STATE_QUERY = (
    Parameter("search", "Only routes whose service, paths or domains hold this text.", _TEXT),
    Parameter("trouble", "Only routes in trouble.", _FLAG),
    Parameter("limit", "How many routes.", {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100}),
)


def operations() -> Iterator[Operation]:
    """Every call of the API."""
    yield Operation("get", "/v1/routes", "All routes with their instances.", "RouteList")
    yield Operation(
        "get", "/v1/routes/{service}", "One route.", "RouteState", parameters=(_SERVICE,), errors=(400, 404)
    )
    yield Operation(
        "put",
        "/v1/routes/{service}",
        "Make a route serve; answers when HAProxy serves it.",
        "RouteState",
        parameters=(_SERVICE, _WAIT, _ALLOW_EMPTY, _DRY_RUN, Parameter("diff", "Add what it changes.", _FLAG)),
        body="RouteBody",
        guarded=True,
        errors=(400, 409, 503),
    )
    yield Operation(
        "delete",
        "/v1/routes/{service}",
        "Take a route away.",
        "Removal",
        parameters=(_SERVICE, _DRY_RUN),
        guarded=True,
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
            parameters=(_SERVICE,),
            body=body,
            guarded=True,
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
        errors=(503,),
    )
    yield Operation("get", "/v1/state", "What the page shows.", "State", parameters=_STATE_QUERY, errors=(400,))
    yield Operation("get", "/metrics", "Metrics in Prometheus' text format.", media="text/plain")
    yield Operation("get", "/healthz", "Whether the proxy serves.", "Health", errors=(503,))
    yield Operation(
        "get", "/readyz", "Whether the proxy serves and every part of the daemon runs.", "Health", errors=(503,)
    )
    yield Operation("get", "/v1/openapi.json", "This document.", "OpenAPI")
    for path, media in (("/", "text/html"), ("/dashboard/style.css", "text/css")):
        yield Operation("get", path, "The page.", media=media)
    yield Operation("get", "/dashboard/page.js", "The page's script.", media="text/javascript")
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
            parameters=(_SERVICE,),
            body=body,
            guarded=True,
            errors=(400, 404, 409, 503) if method == "post" else (400, 409, 503),
        )
    yield Operation(
        "delete",
        "/v1/routes/{service}/hold",
        "End a hold. The route of one that is promoted becomes the service's.",
        "HoldState",
        parameters=(_SERVICE, Parameter("id", "Only the hold with this ID.", _TEXT)),
        guarded=True,
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
        guarded=True,
        errors=(400, 503),
    )
    yield Operation(
        "get", path, "The requests of users so far, in all proxies.", answer, parameters=(_SERVICE,), errors=(404, 503)
    )
    identity = Parameter("id", "The count's ID.", _TEXT, required=True)
    yield Operation(
        "delete",
        path,
        "End a count; its result, of all proxies.",
        answer,
        parameters=(_SERVICE, identity),
        guarded=True,
        errors=(400, 404, 503),
    )


def _certificates() -> Iterator[Operation]:
    """The certificates that users meet."""
    name = Parameter("name", "The certificate's name.", _TEXT, "path", required=True)
    yield Operation("get", "/v1/certs", "The certificates: their names and ends, never a key.", "CertificateList")
    yield Operation(
        "put",
        "/v1/certs/{name}",
        "Serve a certificate: PEM with its chain and its key.",
        "CertificateState",
        parameters=(name,),
        text_body="application/x-pem-file",
        guarded=True,
        errors=(400, 409, 503),
    )
    yield Operation(
        "delete",
        "/v1/certs/{name}",
        "Serve a certificate no longer that came by the API.",
        "CertificateRemoval",
        parameters=(name,),
        guarded=True,
        errors=(400, 404, 409, 503),
    )
    answer = "DockerFlowCertificates"
    for slash in ("", "/"):
        yield Operation(
            "put",
            f"{DOCKER_FLOW}/cert{slash}",
            "Docker Flow: Proxy's cert: as PUT /v1/certs.",
            answer,
            parameters=(Parameter("certName", "The certificate's name.", _TEXT, required=True),),
            text_body="application/x-pem-file",
            guarded=True,
            errors=(400, 409, 500),
            error=answer,
        )
        yield Operation("get", f"{DOCKER_FLOW}/certs{slash}", "Docker Flow: Proxy's certs, without the keys.", answer)


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
                    method, path + slash, text, answer, parameters=parameters, guarded=True, errors=errors, error=answer
                )
            yield Operation(
                method,
                f"{prefix}/reload{slash}",
                "Docker Flow: Proxy's reload: an empty answer.",
                media="application/octet-stream",
                guarded=True,
                errors=(500,),
                error=answer,
            )
            yield Operation(
                method, f"{prefix}/config{slash}", "The haproxy.cfg that runs.", media="text/plain", guarded=True
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
            "description": "The daemon that owns HAProxy's configuration. Calls that change something or show a secret "
            "need the token where the daemon has one.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas(), "OpenAPI": {"type": "object"}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }

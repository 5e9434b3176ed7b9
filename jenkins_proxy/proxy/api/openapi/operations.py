"""The calls of the daemon's own API: one table, of which the document is made and by which queries are checked."""

from __future__ import annotations

from collections.abc import Iterator

from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api.openapi.operation import TEXT, Operation, Parameter
from jenkins_proxy.proxy.api.params import MAX_PROXIES
from jenkins_proxy.proxy.timing import Timing

FLAG = {"type": "boolean", "default": False}
_SERVICE = Parameter("service", "The service's name.", TEXT, "path", required=True)
DRY_RUN = Parameter("dryRun", "Change nothing, and say what would be.", FLAG)
TAKE_OVER = Parameter("takeOver", "Take paths and domains from the routes of other services.", FLAG)
ALLOW_EMPTY = Parameter("allowEmpty", "Take the route although no instance is live.", FLAG)
WAIT = Parameter(
    "wait",
    "Seconds to wait for a first instance.",
    {"type": "number", "minimum": 0, "maximum": 300, "default": 30},
)
_PROXIES = Parameter(
    "proxies",
    "Seconds to wait until every live proxy serves the change.",
    {"type": "number", "minimum": 0, "maximum": MAX_PROXIES, "default": Timing().proxies_wait},
)
_EVENT_POSITION = (
    Parameter("after", "The ID of an event: what came after it is sent first.", TEXT),
    Parameter("Last-Event-ID", "The same, as browsers send it.", TEXT, "header"),
)
_LIMIT = Parameter("limit", "How many.", {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100})
_STATE_QUERY = (
    Parameter("search", "Only routes whose service, paths or domains hold this text.", TEXT),
    Parameter("trouble", "Only routes in trouble.", FLAG),
    _LIMIT,
)


def own_operations() -> Iterator[Operation]:
    """Every call of the daemon's own API, and of the page."""
    yield from _routes()
    yield from _holds()
    yield from _counts()
    yield from _certificates()
    yield from _state()
    yield from _open()


def query_names() -> dict[tuple[str, str], tuple[str, ...]]:
    """The query parameters of each call whose others are refused, by its method and path.

    What is open for everybody is not among them: load balancers and monitors add what they like.
    """
    return {
        (operation.method.upper(), operation.path): tuple(
            parameter.name for parameter in operation.parameters if parameter.place == "query"
        )
        for operation in own_operations()
        if operation.path.startswith("/v1/")
    }


def _routes() -> Iterator[Operation]:
    yield Operation("get", "/v1/routes", "All routes with their instances.", "RouteList", role=Role.READ, errors=(400,))
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
            WAIT,
            _PROXIES,
            ALLOW_EMPTY,
            TAKE_OVER,
            DRY_RUN,
            Parameter("diff", "Add what it changes.", FLAG),
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
        parameters=(_SERVICE, _PROXIES, DRY_RUN),
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


def _state() -> Iterator[Operation]:
    """What the daemon does, and what was changed."""
    yield Operation(
        "get",
        "/v1/events",
        "What happens, as server-sent events; the data of each is the schema Event.",
        media="text/event-stream",
        parameters=_EVENT_POSITION,
        role=Role.READ,
        errors=(400, 503),
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
        "get", "/v1/access", "Which role the caller has, and by what.", "Access", role=Role.READ, errors=(400,)
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


def _open() -> Iterator[Operation]:
    """What everybody may call."""
    yield Operation("get", "/metrics", "Metrics in Prometheus' text format.", media="text/plain")
    yield Operation("get", "/healthz", "Whether the proxy serves.", "Health", errors=(503,))
    yield Operation(
        "get", "/readyz", "Whether the proxy serves and every part of the daemon runs.", "Health", errors=(503,)
    )
    yield Operation("get", "/v1/openapi.json", "This document.", "OpenAPI", errors=(400,))
    for path, media in (("/", "text/html"), ("/dashboard/style.css", "text/css")):
        yield Operation("get", path, "The page.", media=media)
    yield Operation(
        "get", "/releases/{service}", "The page of a service's releases.", media="text/html", parameters=(_SERVICE,)
    )
    for name in ("access", "page", "releases"):
        yield Operation("get", f"/dashboard/{name}.js", "The page's scripts.", media="text/javascript")


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
        errors=(400, 404, 503),
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
        "get",
        "/v1/certs",
        "The certificates: their names and ends, never a key.",
        "CertificateList",
        role=Role.READ,
        errors=(400,),
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

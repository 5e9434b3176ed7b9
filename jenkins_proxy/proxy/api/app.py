"""The daemon's HTTP API put together, and the one place where errors become answers.

    GET    /v1/routes                 (r) all routes with their instances
    GET    /v1/routes/SERVICE         (r) one route                                404 without it
    PUT    /v1/routes/SERVICE        (*)  make it so; answers when HAProxy serves  400 409 503
             ?wait=SECONDS                  for a first instance (30; 300 at most)
             ?allowEmpty=true               also without one
             ?dryRun=true&diff=true         change nothing, show the difference
    DELETE /v1/routes/SERVICE        (*)                                           404 without it
    POST   /v1/routes/SERVICE/drain  (*)  {"addresses": ["10.0.0.1:32768"], "timeout": 30, "stream_timeout": 5}; answers
                                          when they are idle; streams are cut after their time
    POST   /v1/routes/SERVICE/resume (*)  {"addresses": [...]}
    PUT    /v1/routes/SERVICE/hold    (*)  {"route", "key_sha256", "holder"}: what joins from now on is a candidate
    DELETE /v1/routes/SERVICE/hold    (*)  ?id=ID: ends the hold; the route of a promoted one stays
    POST   /v1/routes/SERVICE/promote (*)  {"id", "addresses", "keep"}: users meet exactly these; 404 409
    POST   /v1/routes/SERVICE/demote  (*)  {"id"}: users meet those of before again
    POST   /v1/routes/SERVICE/count  (*)  {"id": "4f1c"}: count requests of users, in all proxies
    GET    /v1/routes/SERVICE/count   (r) how many so far                          404 while none are counted
    DELETE /v1/routes/SERVICE/count  (*)  ?id=4f1c: no longer; how many it were
    GET    /v1/certs                      certificates: names and ends, never a key
    PUT    /v1/certs/NAME            (*)  serve one, from PEM with its key         400 409 503
    DELETE /v1/certs/NAME            (*)  404 without it, 409 when it is a file's
    PUT    /v1/docker-flow-proxy/cert (*), GET …/certs: the same by Docker Flow: Proxy's names
    GET|POST /v1/docker-flow-proxy/{reconfigure,remove,reload,config} (*), …/ping, /v1/test, /v2/test
    GET    /v1/events                 (r) server-sent events; Last-Event-ID or ?after=ID replays
    GET    /v1/state                  (r) what the page shows: ?search=TEXT&trouble=true&limit=N
    GET    /v1/audit                  (r) who changed what: the last ?limit=N, newest first
    GET    /v1/access                 (r) which role the caller has, and by what
    GET    /v1/releases/SERVICE       (r) its last releases, newest first; a person reads them at /releases/SERVICE
    GET    /v1/openapi.json               all of this in full, for programs
    GET    /metrics  /healthz  /readyz    Prometheus' text; 200 or 503 with the reason, /readyz if a part does not run
    GET    /                              the page

(*) needs the role change and (r) the role read, where callers have roles (``auth.py``); seeing ``probe`` in a route
needs the role change, too. Fields and parameters that a call does not have are refused. Errors of all but Docker Flow:
Proxy's calls: ``{"error": {"message", "hint"}}``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from jenkins_proxy.errors import JenkinsProxyError, UsageError
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.api import serializers
from jenkins_proxy.proxy.api.auth import Access, AccessDenied, Authenticator, Handler, middleware
from jenkins_proxy.proxy.api.openapi.document import document
from jenkins_proxy.proxy.api.openapi.operations import query_names
from jenkins_proxy.proxy.api.params import refuse_unknown
from jenkins_proxy.proxy.api.recording import Recorder
from jenkins_proxy.proxy.models import ConflictError, NotCertifiedError, NotCountedError, NotRoutedError
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.timing import DEFAULT, Timing

MAX_BODY = 256 * 1024
"""Bytes. A route with as many of the longest paths as the grammar allows has 100 KiB."""
# Bytes of a request's first line: room for what the grammar then refuses with a reason.
_MAX_LINE = 64 * 1024
_PLAIN = "identity"
_LOG = logging.getLogger(__name__)


class Part(Protocol):
    """Some handlers of the API."""

    def add_to(self, app: web.Application) -> None:
        """Register them."""


def application(authenticator: Authenticator, audit: Audit, *parts: Part) -> web.Application:
    """All of the API."""
    recorder = Recorder(audit, authenticator)
    app = web.Application(
        client_max_size=MAX_BODY,
        middlewares=[
            recorder.middleware(),
            _errors,
            middleware(authenticator),
            _plain_bodies,
            _known_parameters(query_names()),
        ],
    )
    app.on_response_prepare.append(_headers)
    own: tuple[Part, ...] = (recorder, Access(authenticator))
    for part in (*own, *parts):
        part.add_to(app)
    return app


class Meta:
    """The handlers about the daemon and the API themselves."""

    def __init__(self, proxy_service: ProxyService) -> None:
        self._service = proxy_service
        self._document = document()

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self.health)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/v1/openapi.json", self.openapi)

    async def health(self, _request: web.Request) -> web.Response:
        """200 while HAProxy serves with the latest configuration; 503 with the reason while it does not."""
        state = self._service.state()
        if state.serving:
            return web.json_response(serializers.health_json(state))
        return _refusal(503, state.problem or "HAProxy does not serve", "the daemon's log says why")

    async def ready(self, _request: web.Request) -> web.Response:
        """200 while HAProxy serves and every part of the daemon runs; 503 with the reason while not."""
        state = self._service.state()
        if state.serving and not state.complete:
            return _refusal(503, state.problem, "the daemon's log says why; if it lasts, restart it: users go on")
        return await self.health(_request)

    async def openapi(self, _request: web.Request) -> web.Response:
        """The description of the API."""
        return web.json_response(self._document)


def runner(app: web.Application, timing: Timing = DEFAULT) -> web.AppRunner:
    """What serves the API, with its limits."""
    # No body is decoded: aiohttp 3.14 tells a handler that waits for one nothing of an encoding that is wrong.
    return web.AppRunner(
        app,
        access_log=None,
        max_line_size=_MAX_LINE,
        keepalive_timeout=timing.api_idle,
        shutdown_timeout=timing.api_stop,
        auto_decompress=False,
    )


@web.middleware
async def _plain_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    encoding = request.headers.get("Content-Encoding", _PLAIN)
    if encoding.lower() != _PLAIN:
        return _refusal(400, f"Content-Encoding {encoding[:40]!r} is not taken", "send the body as it is")
    return await handler(request)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except JenkinsProxyError as error:
        answer = _refusal(_status(error), error.message, error.hint)
        if answer.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="jenkins-proxy"'
        return answer
    except TimeoutError:
        return _refusal(408, "the request did not arrive in time")
    except web.RequestPayloadError:
        answer = _refusal(400, "the request's body cannot be read")
        # Nobody can tell where the next request begins.
        answer.force_close()
        return answer
    except web.HTTPException as error:
        answer = _refusal(error.status, f"{request.method} {request.path[:80]!r}: {error.reason}")
        answer.headers.extend((name, value) for name, value in error.headers.items() if name == "Allow")
        return answer
    except Exception as error:
        _LOG.exception("%s %s", request.method, request.rel_url.path)
        return _refusal(500, f"a bug in the daemon: {type(error).__name__}", "its log has the details")


def _known_parameters(names: Mapping[tuple[str, str], Sequence[str]]) -> Middleware:
    """Refuses what a call has no parameter for.

    :param names: the parameters by method and path.
    """

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        known = names.get((method, resource.canonical)) if resource else None
        if known is not None:
            refuse_unknown(f"{request.method} {request.path[:80]}", request.query, known)
        return await handler(request)

    return checked


def _status(error: JenkinsProxyError) -> int:
    if isinstance(error, AccessDenied):
        return error.status
    if isinstance(error, UsageError):
        return 400
    if isinstance(error, NotRoutedError | NotCountedError | NotCertifiedError):
        return 404
    return 409 if isinstance(error, ConflictError) else 503


def _refusal(status: int, message: str, hint: str = "") -> web.Response:
    return web.json_response({"error": {"message": message, "hint": hint}}, status=status)


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "jenkins-proxy"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")

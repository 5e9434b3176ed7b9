"""Each call has an ID, and each that asks for a change becomes an entry of the audit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Middleware

from jenkins_proxy.proxy.access.audit import Audit, AuditEntry, request_id
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api.auth import Authenticator, Handler, guard_of, guarded
from jenkins_proxy.route_options.query import TRUE, Query

HEADER = "X-Request-ID"
_RECENT, _MOST = 100, 1000
# Nginx's status for a call that ended without an answer.
_BROKEN_OFF = 499
_form: ContextVar[list[tuple[str, str]]] = ContextVar("form")


def note_form(pairs: Iterable[tuple[str, str]]) -> None:
    """Say which parameters the call under way has that do not all stand in its URL."""
    _form.get([]).extend(pairs)


class Recorder:
    """Records the calls, and tells of them."""

    def __init__(self, audit: Audit, authenticator: Authenticator) -> None:
        self._audit = audit
        self._auth = authenticator

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/audit", self.latest)

    @guarded(Role.READ, pages=True)
    async def latest(self, request: web.Request) -> web.Response:
        """The last changes that were asked for, ``limit`` of them, the newest first."""
        limit = int(Query(request.query.items()).number("limit", _RECENT, _MOST))
        return web.json_response({"changes": [dataclasses.asdict(entry) for entry in self._audit.latest(limit)]})

    def middleware(self) -> Middleware:
        """What records the calls. It stands before all else, and so sees what each is answered."""

        @web.middleware
        async def recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
            guard = guard_of(request.match_info.handler)
            identity = request_id(request.headers)
            if guard and guard.action:
                response = await self._recorded(request, handler, guard.action, identity)
            else:
                response = await handler(request)
            if not response.prepared:
                response.headers[HEADER] = identity
            return response

        return recorded

    async def _recorded(self, request: web.Request, handler: Handler, action: str, identity: str) -> web.StreamResponse:
        # Now: a token may be taken away while the call is under way.
        caller, status = self._auth.caller(request), _BROKEN_OFF
        form = list(request.query.items())
        _form.set(form)
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            pairs = dict(form)
            self._audit.record(
                AuditEntry.of(
                    caller,
                    time=time.time(),
                    request_id=identity,
                    peer=request.remote or "",
                    action=action + " (dry run)" * (pairs.get("dryRun", "") in TRUE),
                    service=_subject(request, pairs),
                    status=status,
                )
            )


def _subject(request: web.Request, pairs: Mapping[str, str]) -> str:
    """The service that is changed, or the certificate."""
    named = request.match_info.get("service") or request.match_info.get("name")
    return named or pairs.get("serviceName") or pairs.get("certName", "")

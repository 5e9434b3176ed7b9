"""What is only looked at: the page, the state that it shows, and the metrics. No secret in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Any

from aiohttp import web

from jenkins_proxy import __version__
from jenkins_proxy.certificate_files import CertificateFiles
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import serializers
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.api.certificates import certificates_json, files_json
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.events import EventLog, event_json
from jenkins_proxy.proxy.models import ProxyState, RouteState
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.telemetry import metrics
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic, TrafficReader
from jenkins_proxy.resources import resource
from jenkins_proxy.route_options.query import Query

_FILES = {
    "/": ("index.html", "text/html"),
    "/dashboard/style.css": ("style.css", "text/css"),
    "/dashboard/access.js": ("access.js", "text/javascript"),
    "/dashboard/page.js": ("page.js", "text/javascript"),
}
# Nothing from elsewhere and nothing inline: a name from the registry that got into the page as a script cannot run.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_MAX_ROUTES = 1000
_RECENT = 100


class Dashboard:
    """The handlers.

    :param about: what the page says of the daemon itself: ``registry``, ``entry`` …
    :param files: with the certificates that users do not meet.
    """

    def __init__(
        self,
        proxy_service: ProxyService,
        event_log: EventLog,
        meter: metrics.Meter,
        reader: TrafficReader,
        about: Mapping[str, Any],
        *,
        certificates: CertificateService,
        files: CertificateFiles,
    ) -> None:
        self._service = proxy_service
        self._event_log = event_log
        self._meter = meter
        self._reader = reader
        self._about = dict(about)
        self._certificates, self._files = certificates, files

    def add_to(self, app: web.Application) -> None:
        for path, (name, kind) in _FILES.items():
            app.router.add_get(path, page_file(name, kind))
        app.router.add_get("/v1/state", self.state)
        app.router.add_get("/metrics", self.metrics)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text."""
        # In a thread, here and below: of thousands of services the loop brings instances into rotation meanwhile.
        traffic, ends = await self._reader.read(), dict(self._certificates.ends())
        ends |= {path: first.not_after for path, first in self._files.first_ends().items()}
        text = await asyncio.to_thread(metrics.render, __version__, self._service.state(), self._meter, traffic, ends)
        return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    @guarded(Role.READ, pages=True)
    async def state(self, request: web.Request) -> web.Response:
        """The daemon, its totals, and the routes that match ``search``, those in trouble first, ``limit`` of them."""
        query = Query(request.query.items())
        traffic = await self._reader.read()
        recent = self._event_log.after(self._event_log.last - _RECENT)
        rest = {
            "about": {**self._about, "version": __version__, "now": time.time()},
            "certificates": [*certificates_json(self._certificates), *files_json(self._files)],
            "events": [{"id": self._event_log.identifier(position), **event_json(event)} for position, event in recent],
            "position": self._event_log.identifier(self._event_log.last),
        }
        text = await asyncio.to_thread(_state_text, self._service.state(), traffic, query, rest)
        return web.json_response(text=text)


def page_file(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of a file of the page, with the headers that keep what came from elsewhere from running in it."""
    text = resource(f"dashboard/{name}").read_text(encoding="utf-8")

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind, headers=_PAGE_HEADERS)

    return serve


def _state_text(state: ProxyState, traffic: Mapping[str, Traffic], query: Query, rest: Mapping[str, Any]) -> str:
    troubled = {route_state.route.service for route_state in state.routes if serializers.in_trouble(route_state)}
    matching = _matching(state.routes, troubled, query.text("search"), query.flag("trouble"))
    shown = matching[: int(query.number("limit", _RECENT, _MAX_ROUTES))]
    return json.dumps(
        {
            **serializers.health_json(state),
            "totals": _totals(state.routes, troubled, traffic),
            "matching": len(matching),
            "services": [_service(own, troubled, traffic.get(own.route.service, Traffic())) for own in shown],
            **rest,
        }
    )


def _matching(routes: Sequence[RouteState], troubled: Set[str], search: str, only_troubled: bool) -> list[RouteState]:
    """Routes whose service, paths or domains hold the text; those in trouble first, then by name."""
    wanted = search.lower()
    matching = [
        state
        for state in routes
        if any(wanted in text.lower() for text in (state.route.service, *state.route.paths, *state.route.domains))
        and (state.route.service in troubled or not only_troubled)
    ]
    return sorted(matching, key=lambda state: (state.route.service not in troubled, state.route.service))


def _totals(routes: Sequence[RouteState], troubled: Set[str], traffic: Mapping[str, Traffic]) -> dict[str, int]:
    rows = traffic.values()
    return {
        "services": len(routes),
        "trouble": len(troubled),
        "instances": sum(len(state.instances) for state in routes),
        "serving": sum(served.serving for state in routes for served in state.instances),
        "rate": sum(row.rate for row in rows),
        "sessions": sum(row.sessions for row in rows),
        "errors": sum(row.errors for row in rows),
    }


def _service(state: RouteState, troubled: Set[str], row: Traffic) -> dict[str, Any]:
    return {
        **serializers.route_json(state),
        "trouble": state.route.service in troubled,
        "traffic": dataclasses.asdict(row),
    }

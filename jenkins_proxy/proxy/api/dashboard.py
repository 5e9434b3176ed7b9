"""What is only looked at: the page, the state and the live events that it shows, and the metrics. No secret in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Any

from aiohttp import web

from jenkins_proxy import __version__
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.api import serializers
from jenkins_proxy.proxy.api.params import Query
from jenkins_proxy.proxy.events import EventLog, event_json
from jenkins_proxy.proxy.models import ProxyState, RouteState
from jenkins_proxy.proxy.service import ProxyService
from jenkins_proxy.proxy.telemetry import haproxy_stats, metrics
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic
from jenkins_proxy.resources import resource

_FILES = {
    "/": ("index.html", "text/html"),
    "/dashboard/style.css": ("style.css", "text/css"),
    "/dashboard/page.js": ("page.js", "text/javascript"),
}
# Nothing from elsewhere and nothing inline: a name from the registry that were taken for a script could not run.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_HEARTBEAT = 15.0
_MOST_READERS = 200
_STALLED = 30.0
_MOST_ROUTES = 1000
_RECENT = 100


class TrafficReader:
    """What HAProxy counted, asked for once a second at the most, however many look at it.

    :param ask: sends commands to HAProxy's Runtime API and gives their answers.
    """

    def __init__(
        self, ask: Callable[[str], Awaitable[Sequence[str]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._read_at = float("-inf")
        self._latest: dict[str, Traffic] = {}
        self._lock = asyncio.Lock()

    async def read(self) -> Mapping[str, Traffic]:
        """By service; empty while HAProxy does not answer."""
        async with self._lock:
            if self._clock() - self._read_at >= 1.0:
                try:
                    (text,) = await self._ask(haproxy_stats.COMMAND)
                    self._latest = await asyncio.to_thread(haproxy_stats.parse, text)
                except ProxyError:
                    self._latest = {}
                self._read_at = self._clock()
            return self._latest


class Dashboard:
    """The handlers.

    :param about: what the page says of the daemon itself: ``registry``, ``entry`` …
    """

    def __init__(
        self,
        proxy_service: ProxyService,
        event_log: EventLog,
        meter: metrics.Meter,
        reader: TrafficReader,
        about: Mapping[str, Any],
    ) -> None:
        self._service = proxy_service
        self._event_log = event_log
        self._meter = meter
        self._reader = reader
        self._about = dict(about)
        self._readers = 0

    def add_to(self, app: web.Application) -> None:
        for path, (name, kind) in _FILES.items():
            app.router.add_get(path, _file(name, kind))
        app.router.add_get("/v1/state", self.state)
        app.router.add_get("/v1/events", self.events, allow_head=False)
        app.router.add_get("/metrics", self.metrics)

    async def metrics(self, _request: web.Request) -> web.Response:
        # In a thread, here and below: of thousands of services the loop brings instances into rotation meanwhile.
        text = await asyncio.to_thread(
            metrics.render, __version__, self._service.state(), self._meter, await self._reader.read()
        )
        return web.Response(text=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def state(self, request: web.Request) -> web.Response:
        """The daemon, its totals, and the routes that match ``search``, those in trouble first, ``limit`` of them."""
        query = Query(request.query.items())
        counted = await self._reader.read()
        recent = self._event_log.after(self._event_log.last - _RECENT)
        rest = {
            "about": {**self._about, "version": __version__, "now": time.time()},
            "events": [{"id": self._event_log.identifier(position), **event_json(event)} for position, event in recent],
            "position": self._event_log.identifier(self._event_log.last),
        }
        text = await asyncio.to_thread(_state_text, self._service.state(), counted, query, rest)
        return web.json_response(text=text)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; ``Last-Event-ID`` (or ``after``, for the first connection) replays what was missed."""
        if self._readers >= _MOST_READERS:
            raise ProxyError(f"{self._readers} readers follow the events already", "close some of them")
        known = request.headers.get("Last-Event-ID") or request.query.get("after")
        position = self._event_log.position(known) if known else self._event_log.last
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._readers += 1
        try:
            await response.prepare(request)
            await self._stream(response, position)
        except (TimeoutError, ConnectionError):
            pass  # the reader went away, or reads no more: both are its own affair
        finally:
            self._readers -= 1
        return response

    async def _stream(self, response: web.StreamResponse, position: int) -> None:
        await _send(response, "retry: 2000\n\n")
        while not self._event_log.closed:
            entries = self._event_log.after(position)
            # A comment now and then tells proxies and readers that the connection lives.
            text = "".join(self._sse(at, event_json(event)) for at, event in entries) or ": still here\n\n"
            await _send(response, text)
            position = entries[-1][0] if entries else position
            await self._event_log.wait(position, _HEARTBEAT)

    def _sse(self, position: int, event: Mapping[str, Any]) -> str:
        return f"id: {self._event_log.identifier(position)}\ndata: {json.dumps(event)}\n\n"


def _file(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    text = resource(f"dashboard/{name}").read_text(encoding="utf-8")

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind, headers=_PAGE_HEADERS)

    return serve


async def _send(response: web.StreamResponse, text: str) -> None:
    await with_timeout(response.write(text.encode()), _STALLED)


def _state_text(state: ProxyState, counted: Mapping[str, Traffic], query: Query, rest: Mapping[str, Any]) -> str:
    troubled = {one.route.service for one in state.routes if serializers.in_trouble(one)}
    matching = _matching(state.routes, troubled, query.text("search"), query.flag("trouble"))
    shown = matching[: int(query.number("limit", _RECENT, _MOST_ROUTES))]
    return json.dumps(
        {
            **serializers.health_json(state),
            "totals": _totals(state.routes, troubled, counted),
            "matching": len(matching),
            "services": [_service(one, troubled, counted.get(one.route.service, Traffic())) for one in shown],
            **rest,
        }
    )


def _matching(routes: Sequence[RouteState], troubled: Set[str], search: str, only_troubled: bool) -> list[RouteState]:
    """Routes whose service, paths or domains hold the text; those in trouble first, then by name."""
    wanted = search.lower()
    found = [
        state
        for state in routes
        if any(wanted in text.lower() for text in (state.route.service, *state.route.paths, *state.route.domains))
        and (state.route.service in troubled or not only_troubled)
    ]
    return sorted(found, key=lambda state: (state.route.service not in troubled, state.route.service))


def _totals(routes: Sequence[RouteState], troubled: Set[str], counted: Mapping[str, Traffic]) -> dict[str, int]:
    rows = counted.values()
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

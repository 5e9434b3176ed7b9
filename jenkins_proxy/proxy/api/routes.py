"""``/v1/routes``: list, read, put and delete routes, drain and resume instances. Thin handlers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

from aiohttp import web

from jenkins_proxy import validation
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.api import serializers
from jenkins_proxy.proxy.api.auth import Authenticator, guarded
from jenkins_proxy.proxy.api.params import Query, wait_seconds
from jenkins_proxy.proxy.haproxy.diff import difference
from jenkins_proxy.proxy.models import NotRoutedError, ProxyState, RouteState
from jenkins_proxy.proxy.route_waiter import RouteWaiter
from jenkins_proxy.proxy.service import ProxyService
from jenkins_proxy.route_options import OPTIONS, check_route

_BODY_SECONDS = 10.0
_DRAIN = 30.0
_STREAMS = 5.0
_MAX_DRAIN = 3600.0
_FIELDS = tuple(option.name for option in OPTIONS)


class Routes:
    """The handlers. Their errors are raised, and made into answers in ``app.py``."""

    def __init__(self, proxy_service: ProxyService, waiter: RouteWaiter, auth: Authenticator) -> None:
        self._service = proxy_service
        self._waiter = waiter
        self._auth = auth

    def add_to(self, app: web.Application) -> None:
        app.add_routes(
            [
                web.get("/v1/routes", self.list),
                web.get("/v1/routes/{service}", self.get),
                web.put("/v1/routes/{service}", self.put),
                web.delete("/v1/routes/{service}", self.delete),
                web.post("/v1/routes/{service}/drain", self.drain),
                web.post("/v1/routes/{service}/resume", self.resume),
            ]
        )

    async def list(self, _request: web.Request) -> web.Response:
        # In a thread: with thousands of services the loop has instances to bring into rotation meanwhile.
        return web.json_response(text=await asyncio.to_thread(_list_text, self._service.state()))

    async def get(self, request: web.Request) -> web.Response:
        service = service_name(request)
        state = self._service.route(service)
        if state is None:
            raise NotRoutedError(f"there is no route of {service}")
        return self._answer(request, state)

    @guarded
    async def put(self, request: web.Request) -> web.Response:
        query = Query(request.query.items())
        route = _route(service_name(request), await read_body(request))
        if query.flag("dryRun"):
            state = await self._service.put(route, allow_empty=query.flag("allowEmpty"), dry_run=True)
        else:
            before = self._service.text() if query.flag("diff") else ""
            state = await self._waiter.put(route, allow_empty=query.flag("allowEmpty"), wait=wait_seconds(query))
            if query.flag("diff"):
                state = dataclasses.replace(state, diff=difference(before, self._service.text()))
        return self._answer(request, state, diff=query.flag("diff"))

    @guarded
    async def delete(self, request: web.Request) -> web.Response:
        service, query = service_name(request), Query(request.query.items())
        if query.flag("dryRun"):
            return web.json_response({"service": service, "removed": False, "diff": self._service.removal(service)})
        if not await self._service.remove(service):
            raise NotRoutedError(f"there is no route of {service}")
        return web.json_response({"service": service, "removed": True})

    @guarded
    async def drain(self, request: web.Request) -> web.Response:
        """Answers when no request is in flight on the instances."""
        body = await read_body(request)
        timeout, stream_timeout = _seconds(body, "timeout", _DRAIN), _seconds(body, "stream_timeout", _STREAMS)
        state = await self._service.drain(service_name(request), _addresses(body), timeout, stream_timeout)
        return self._answer(request, state)

    @guarded
    async def resume(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return self._answer(request, await self._service.resume(service_name(request), _addresses(body)))

    def _answer(self, request: web.Request, state: RouteState, *, diff: bool = False) -> web.Response:
        key = self._service.probe_key if self._auth.trusts(request) else ""
        return web.json_response(serializers.route_json(state, probe_key=key, diff=diff))


def _list_text(state: ProxyState) -> str:
    routes = sorted(state.routes, key=lambda own: own.route.service)
    return json.dumps({"version": state.version, "routes": [serializers.route_json(own) for own in routes]})


def service_name(request: web.Request) -> str:
    """The service in the URL. :raises UsageError: when it is no name."""
    return validation.check_service(request.match_info["service"])


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body. :raises UsageError: when it is none; TimeoutError when it does not arrive."""
    text = await with_timeout(request.text(), _BODY_SECONDS)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the request's body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError("the request's body is not a JSON object")
    return data


def _route(service: str, data: dict[str, Any]) -> Route:
    unknown = sorted(str(key)[:40] for key in data if key not in _FIELDS)
    if unknown:
        raise UsageError(f"the route has unknown fields: {', '.join(unknown)}", f"known: {', '.join(_FIELDS)}")
    if data.get("service", service) != service:
        raise UsageError(f"the body's service is not the URL's, which is {service}")
    route = Route.from_dict({**data, "service": service})
    check_route(route)
    return route


def _seconds(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_DRAIN:
        raise UsageError(f"{name} {value!r} is not allowed: it must be seconds from 0 to {_MAX_DRAIN:g}")
    return value


def _addresses(body: dict[str, Any]) -> tuple[Address, ...]:
    given = body.get("addresses")
    if not isinstance(given, list) or not given:
        raise UsageError("addresses is missing", 'send {"addresses": ["10.0.0.1:32768"]}')
    return tuple(validation.parse_address(text, "addresses") for text in given)

"""``/v1/routes``: list, read, put and delete routes, drain and resume instances. Thin handlers."""

from __future__ import annotations

import asyncio
import dataclasses
import json

from aiohttp import web

from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies, serializers
from jenkins_proxy.proxy.api.auth import Authenticator, guarded
from jenkins_proxy.proxy.api.params import proxies_seconds, wait_seconds
from jenkins_proxy.proxy.haproxy.diff import difference
from jenkins_proxy.proxy.models import NotRoutedError, ProxyState, RouteState
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.route_options.query import Query

_DRAIN = 30.0
_STREAMS = 5.0
_MAX_DRAIN = 3600.0


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

    @guarded(Role.READ, pages=True)
    async def list(self, _request: web.Request) -> web.Response:
        # In a thread: with thousands of services the loop has instances to bring into rotation meanwhile.
        return web.json_response(text=await asyncio.to_thread(_list_text, self._service.state()))

    @guarded(Role.READ, pages=True)
    async def get(self, request: web.Request) -> web.Response:
        service = bodies.service_of(request)
        state = self._service.route(service)
        if state is None:
            raise NotRoutedError(f"there is no route of {service}")
        return self._answer(request, state)

    @guarded(Role.CHANGE, action="put route")
    async def put(self, request: web.Request) -> web.Response:
        query = Query(request.query.items())
        route = bodies.route(bodies.service_of(request), await bodies.json_object(request, "RouteBody"))
        allow_empty, take_over = query.flag("allowEmpty"), query.flag("takeOver")
        if query.flag("dryRun"):
            state = await self._service.put(route, allow_empty=allow_empty, dry_run=True, take_over=take_over)
        else:
            before = self._service.text() if query.flag("diff") else ""
            wait, proxies = wait_seconds(query), proxies_seconds(query)
            state = await self._waiter.put(
                route, allow_empty=allow_empty, wait=wait, take_over=take_over, proxies=proxies
            )
            if query.flag("diff"):
                state = dataclasses.replace(state, diff=difference(before, self._service.text()))
        return self._answer(request, state, diff=query.flag("diff"))

    @guarded(Role.CHANGE, action="remove route")
    async def delete(self, request: web.Request) -> web.Response:
        service, query = bodies.service_of(request), Query(request.query.items())
        if query.flag("dryRun"):
            return web.json_response({"service": service, "removed": False, "diff": self._service.removal(service)})
        removal = await self._service.remove(service, proxies_seconds(query))
        if not removal.removed:
            raise NotRoutedError(f"there is no route of {service}")
        return web.json_response(serializers.removal_json(service, removal))

    @guarded(Role.CHANGE, action="drain")
    async def drain(self, request: web.Request) -> web.Response:
        """Answers when no request is in flight on the instances."""
        body = await bodies.json_object(request, "DrainBody")
        timeout = bodies.seconds(body, "timeout", _DRAIN, _MAX_DRAIN)
        stream_timeout = bodies.seconds(body, "stream_timeout", _STREAMS, _MAX_DRAIN)
        state = await self._service.drain(
            bodies.service_of(request), bodies.addresses(body), timeout, stream_timeout, _proxies(request)
        )
        return self._answer(request, state)

    @guarded(Role.CHANGE, action="resume")
    async def resume(self, request: web.Request) -> web.Response:
        body = await bodies.json_object(request, "Addresses")
        service, addresses = bodies.service_of(request), bodies.addresses(body)
        return self._answer(request, await self._service.resume(service, addresses, _proxies(request)))

    def _answer(self, request: web.Request, state: RouteState, *, diff: bool = False) -> web.Response:
        key = self._service.probe_key if self._auth.trusts(request) else ""
        return web.json_response(serializers.route_json(state, probe_key=key, diff=diff))


def _proxies(request: web.Request) -> float | None:
    return proxies_seconds(Query(request.query.items()))


def _list_text(state: ProxyState) -> str:
    routes = sorted(state.routes, key=lambda own: own.route.service)
    return json.dumps({"version": state.version, "routes": [serializers.route_json(own) for own in routes]})

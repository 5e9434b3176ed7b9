"""``/v1/routes/SERVICE/hold``, ``promote`` and ``demote``: what a deploy asks for its candidates. Thin handlers."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies, serializers
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.api.params import proxies_seconds
from jenkins_proxy.proxy.holds import MAX_SECONDS, check_hash, check_holder, check_id
from jenkins_proxy.proxy.service.hold_service import HoldRequest, HoldService
from jenkins_proxy.route_options.query import Query

_TIMEOUT = 1800.0
_PROMOTE_TIMEOUT = 30.0
_MAX_PROMOTE = 300.0


class HoldRoutes:
    """The handlers. Their errors are raised, and made into answers in ``app.py``."""

    def __init__(self, hold_service: HoldService) -> None:
        self._service = hold_service

    def add_to(self, app: web.Application) -> None:
        app.add_routes(
            [
                web.put("/v1/routes/{service}/hold", self.begin),
                web.delete("/v1/routes/{service}/hold", self.end),
                web.post("/v1/routes/{service}/promote", self.promote),
                web.post("/v1/routes/{service}/demote", self.demote),
            ]
        )

    @guarded(Role.CHANGE, action="hold")
    async def begin(self, request: web.Request) -> web.Response:
        """Answers when every live proxy keeps newcomers from users, or names those that do not yet."""
        asked = hold_request(bodies.service_of(request), await bodies.json_object(request, "HoldBody"))
        state = await self._service.begin(asked, proxies_seconds(Query(request.query.items())))
        return web.json_response(serializers.hold_state_json(state))

    @guarded(Role.CHANGE, action="promote")
    async def promote(self, request: web.Request) -> web.Response:
        body = await bodies.json_object(request, "PromoteBody")
        state = await self._service.promote(
            bodies.service_of(request),
            check_id(body.get("id")),
            bodies.addresses(body),
            bodies.addresses(body, "keep", empty=True),
            bodies.seconds(body, "timeout", _PROMOTE_TIMEOUT, _MAX_PROMOTE),
        )
        return web.json_response(serializers.hold_state_json(state))

    @guarded(Role.CHANGE, action="demote")
    async def demote(self, request: web.Request) -> web.Response:
        body = await bodies.json_object(request, "HoldName")
        proxies = proxies_seconds(Query(request.query.items()))
        state = await self._service.demote(bodies.service_of(request), check_id(body.get("id")), proxies)
        return web.json_response(serializers.hold_state_json(state))

    @guarded(Role.CHANGE, action="end hold")
    async def end(self, request: web.Request) -> web.Response:
        query = Query(request.query.items())
        identity = query.text("id")
        state = await self._service.end(
            bodies.service_of(request), check_id(identity) if identity else "", proxies_seconds(query)
        )
        return web.json_response(serializers.hold_state_json(state))


def hold_request(service: str, body: dict[str, Any]) -> HoldRequest:
    """What a deploy asks for. :raises UsageError: for a value that is not allowed."""
    if not isinstance(body.get("route"), dict):
        raise UsageError("route is missing", 'send {"route": {"paths": ["/api/v1/books"]}, ...}')
    return HoldRequest(
        bodies.route(service, body["route"]),
        check_hash(body.get("key_sha256")),
        check_holder(body.get("holder")),
        bodies.seconds(body, "timeout", _TIMEOUT, MAX_SECONDS),
        check_id(body["replace"]) if body.get("replace") else "",
        bodies.addresses(body, "before", empty=True) if body.get("before") is not None else None,
    )

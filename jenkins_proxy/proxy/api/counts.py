"""``/v1/routes/SERVICE/count``: how many requests users make, and how many fail. Thin handlers."""

from __future__ import annotations

import re

from aiohttp import web

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.service.counting import Counting
from jenkins_proxy.proxy.telemetry.user_counts import Counts
from jenkins_proxy.route_options.query import Query

_IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")


class UserCounts:
    """The handlers. Their errors are raised, and made into answers in ``app.py``."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def add_to(self, app: web.Application) -> None:
        path = "/v1/routes/{service}/count"
        app.add_routes([web.post(path, self.start), web.get(path, self.get), web.delete(path, self.stop)])

    @guarded(Role.CHANGE)
    async def start(self, request: web.Request) -> web.Response:
        """Answers when all live proxies count."""
        service = bodies.service_of(request)
        identity = _identity((await bodies.json_object(request, "CountBody")).get("id"))
        await self._counting.start(service, identity)
        return _answer(Counts())

    @guarded(Role.READ, pages=True)
    async def get(self, request: web.Request) -> web.Response:
        return _answer(await self._counting.counts(bodies.service_of(request)))

    @guarded(Role.CHANGE)
    async def stop(self, request: web.Request) -> web.Response:
        """Answers when all live proxies have ended the count."""
        identity = _identity(Query(request.query.items()).text("id"))
        return _answer(await self._counting.stop(bodies.service_of(request), identity))


def _answer(counts: Counts) -> web.Response:
    return web.json_response({"users": counts.summary()})


def _identity(value: object) -> str:
    if not isinstance(value, str) or not _IDENTITY.fullmatch(value):
        raise UsageError(
            "id is missing or not allowed: it must be 1 to 64 letters, digits, dots, hyphens and underscores"
        )
    return value

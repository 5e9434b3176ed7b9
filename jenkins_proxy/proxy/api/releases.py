"""``/v1/releases``: the history of a service, which deploys keep in the registry, and the page that shows it."""

from __future__ import annotations

from aiohttp import web

from jenkins_proxy import releases
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.api.dashboard import page_file


class Releases:
    """The handlers.

    :param registry: where the history is.
    """

    def __init__(self, registry: AsyncConsul) -> None:
        self._registry = registry

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/releases/{service}", self.list)
        # It reads the service's name from its own address, and nothing is put into it here.
        app.router.add_get("/releases/{service}", page_file("releases.html", "text/html"))
        app.router.add_get("/dashboard/releases.js", page_file("releases.js", "text/javascript"))

    @guarded(Role.READ, pages=True)
    async def list(self, request: web.Request) -> web.Response:
        """The releases that are kept, the newest first; none of a service that never had one."""
        service = bodies.service_of(request)
        pair = await self._registry.kv_get(releases.KEYS + service)
        found = releases.parse(pair.value) if pair else ()
        return web.json_response({"service": service, "releases": [release.as_dict() for release in found]})

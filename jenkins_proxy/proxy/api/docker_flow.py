"""The calls of Docker Flow: Proxy, so that the article's ``curl`` lines work unchanged: thin handlers."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from jenkins_proxy.errors import JenkinsProxyError, UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import docker_flow_params
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.api.params import Query
from jenkins_proxy.proxy.api.recording import note_form
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.models import ConflictError, NotRoutedError
from jenkins_proxy.proxy.route_waiter import RouteWaiter
from jenkins_proxy.proxy.service import ProxyService

_PREFIX = "/v1/docker-flow-proxy"
_DRY_RUN = "dry run, nothing was changed: "
_NO_ROUTE = "there was no such route"
_NO_PARAMETERS = Query(())


class DockerFlow:
    """The handlers. Their errors are Docker Flow: Proxy's JSON with ``NOK``, and its status codes: 400, 409, 500."""

    def __init__(self, proxy_service: ProxyService, waiter: RouteWaiter, certificates: CertificateService) -> None:
        self._service = proxy_service
        self._waiter = waiter
        self._certificates = certificates

    def add_to(self, app: web.Application) -> None:
        for path, handler in (
            (f"{_PREFIX}/reconfigure", self.reconfigure),
            (f"{_PREFIX}/remove", self.remove),
            (f"{_PREFIX}/reload", self.reload),
            (f"{_PREFIX}/config", self.config),
            (f"{_PREFIX}/ping", self.ping),
            ("/v1/test", self.ping),
            ("/v2/test", self.ping),
        ):
            for spelling in (path, path + "/"):
                app.router.add_get(spelling, handler, allow_head=handler == self.ping)
                app.router.add_post(spelling, handler)

    @guarded(Role.CHANGE, action="reconfigure")
    async def reconfigure(self, request: web.Request) -> web.Response:
        """200 only when HAProxy serves the route with at least one live instance, or with ``allowEmpty=true``."""
        query = _NO_PARAMETERS
        try:
            query = await _query(request)
            call = docker_flow_params.parse_reconfigure(query)
            if call.dry_run:
                state = await self._service.put(call.route, allow_empty=call.allow_empty, dry_run=True)
                return _json(docker_flow_params.answer(f"{_DRY_RUN}{state.diff}", echo=call.echo))
            if call.certificate:
                await self._certificates.put(call.route.service, call.certificate.encode())
            await self._waiter.put(call.route, allow_empty=call.allow_empty, wait=call.wait)
        except JenkinsProxyError as error:
            return _failed(error, query)
        message = f"ignored, as it means nothing here: {', '.join(call.ignored)}" if call.ignored else ""
        return _json(docker_flow_params.answer(message, echo=call.echo))

    @guarded(Role.CHANGE, action="remove")
    async def remove(self, request: web.Request) -> web.Response:
        """200 also for a service without a route, as Docker Flow: Proxy answers."""
        query = _NO_PARAMETERS
        try:
            query = await _query(request)
            service = docker_flow_params.parse_remove(query)
            if query.flag("dryRun"):
                message = _DRY_RUN + self._service.removal(service)
            else:
                message = "" if await self._service.remove(service) else _NO_ROUTE
        except NotRoutedError:
            message = _NO_ROUTE
        except JenkinsProxyError as error:
            return _failed(error, query)
        return _json(docker_flow_params.answer(message, echo={"ServiceName": service}))

    @guarded(Role.CHANGE, action="reload")
    async def reload(self, _request: web.Request) -> web.Response:
        """An empty 200, as Docker Flow: Proxy answers."""
        try:
            await self._service.reload()
        except JenkinsProxyError as error:
            return _failed(error)
        return web.Response()

    @guarded(Role.READ)
    async def config(self, _request: web.Request) -> web.Response:
        """The haproxy.cfg that runs."""
        # Whoever knows the key can ask which instance answered.
        return web.Response(text=self._service.config().replace(self._service.probe_key, "<hidden>"))

    async def ping(self, _request: web.Request) -> web.Response:
        return _json(docker_flow_params.answer())


async def _query(request: web.Request) -> Query:
    pairs = list(request.query.items())
    if request.method == "POST" and request.content_type == "application/x-www-form-urlencoded":
        try:
            form = parse_qsl((await request.read()).decode(), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise UsageError(f"the request's body is no form in UTF-8: {error}") from error
        note_form(form)
        pairs += form
    return Query(pairs)


def _failed(error: JenkinsProxyError, query: Query = _NO_PARAMETERS) -> web.Response:
    echo: dict[str, Any] = {}
    with contextlib.suppress(UsageError):
        echo = docker_flow_params.echo(query)
    status = 400 if isinstance(error, UsageError) else 409 if isinstance(error, ConflictError) else 500
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return _json(docker_flow_params.answer(message, good=False, echo=echo), status)


def _json(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")

"""The calls of Docker Flow: Proxy, so that the article's ``curl`` lines work unchanged: thin handlers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from jenkins_proxy.errors import JenkinsProxyError, UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.api.docker_flow import params as docker_flow_params
from jenkins_proxy.proxy.api.recording import note_form
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.container_environ import SECRETS, users_secret
from jenkins_proxy.proxy.models import ConflictError, NotRoutedError, RouteState
from jenkins_proxy.proxy.service import admission
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.route_options.query import Query

_PREFIX = "/v1/docker-flow-proxy"
_DRY_RUN = "dry run, nothing was changed: "
_NO_ROUTE = "there was no such route"
_NO_PARAMETERS = Query(())
_MAX_FIELDS = 1000
_HIDDEN = "<hidden>"
_PASSWORD = re.compile(r"^(    user \S+ password ).*$", re.MULTILINE)


class DockerFlow:
    """The handlers. Their errors are Docker Flow: Proxy's JSON with ``NOK``, and its status codes: 400, 409, 500.

    :param separator: what stands between the items of a list.
    :param users: ``name:hash`` of those of all services.
    :param secrets: the folder with the files of users that calls name.
    """

    def __init__(
        self,
        proxy_service: ProxyService,
        waiter: RouteWaiter,
        certificates: CertificateService,
        separator: str = ",",
        *,
        users: Sequence[str] = (),
        secrets: Path = SECRETS,
    ) -> None:
        self._service = proxy_service
        self._waiter = waiter
        self._certificates = certificates
        self._separator = separator
        self._users = users
        self._secrets = secrets
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

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
            # In a thread: passwords in clear are hashed, each for some hundredths of a second.
            call = await asyncio.to_thread(
                docker_flow_params.parse_reconfigure, query, self._secret, self._separator, self._users
            )
            if call.dry_run:
                put = functools.partial(self._service.put, dry_run=True, instead_of=self._replaced(call))
                states = [
                    await put(route, allow_empty=call.allow_empty, take_over=call.take_over) for route in call.routes
                ]
                diff = "\n".join(state.diff for state in states)
                return _json(docker_flow_params.answer(f"{_DRY_RUN}{diff}", echo=call.echo))
            await self.apply(call)
        except JenkinsProxyError as error:
            return _failed(error, query)
        message = f"ignored, as it means nothing here: {', '.join(call.ignored)}" if call.ignored else ""
        return _json(docker_flow_params.answer(message, echo=call.echo))

    async def apply(self, call: docker_flow_params.Reconfigure) -> None:
        """Put the certificate of a call and every route, or leave all routes as they were. Raises as a route's put."""
        async with self._in_turn(call.service, several=len(call.routes) > 1):
            await self._apply(call)

    async def _apply(self, call: docker_flow_params.Reconfigure) -> None:
        replaced = self._replaced(call)
        taken = {name for route in call.routes if call.take_over for name in self._service.taken_by(route, replaced)}
        if call.certificate:
            await self._certificates.put(call.service, call.certificate.encode())
        put = functools.partial(self._waiter.put, wait=call.wait, instead_of=replaced)
        names = [route.service for route in call.routes]
        before = {name: self._service.route(name) for name in (*names, *taken)}
        done: list[str] = []
        try:
            for route in call.routes:
                done.append(route.service)
                await put(route, allow_empty=call.allow_empty, take_over=call.take_over)
        except JenkinsProxyError:
            # The last one has changed nothing.
            await self._put_back({name: before[name] for name in (*done[:-1], *taken)})
            raise
        for name in replaced - set(names):
            await self._service.remove(name)

    @contextlib.asynccontextmanager
    async def _in_turn(self, service: str, *, several: bool = False) -> AsyncIterator[None]:
        """Calls for one service come in turn where it has several destinations: each takes the place of what the others
        have put.

        :param several: whether the call itself has several.
        """
        if not several and not self._service.parts(service):
            yield
            return
        lock = self._locks.setdefault(service, asyncio.Lock())
        async with lock:
            yield

    async def _put_back(self, before: Mapping[str, RouteState | None]) -> None:
        """Bring routes to what they were."""
        for name, state in before.items():
            now = self._service.route(name)
            if state is None:
                await self._service.remove(name)
            elif now is None or now.route != state.route:
                await self._service.put(state.route, allow_empty=True, instead_of=before.keys())

    def _replaced(self, call: docker_flow_params.Reconfigure) -> frozenset[str]:
        """The services whose routes a call takes the place of: all that a call for its service has made before.

        :raises ConflictError: when two of its own destinations want the same.
        """
        for route in call.routes:
            admission.refuse_conflict(route, call.routes)
        return frozenset((call.service, *self._service.parts(call.service)))

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
                async with self._in_turn(service):
                    names = (service, *self._service.parts(service))
                    gone = [(await self._service.remove(name)).removed for name in names]
                message = "" if any(gone) else _NO_ROUTE
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
    async def config(self, request: web.Request) -> web.Response:
        """The haproxy.cfg that runs; with ``type=json`` the routes, as Docker Flow: Proxy's last version lists them."""
        if request.query.get("type") == "json":
            return web.json_response(docker_flow_params.services([own.route for own in self._service.state().routes]))
        # Whoever knows the key can ask which instance answered; a hash of a password can be guessed at.
        text = self._service.config().replace(self._service.probe_key, _HIDDEN)
        return web.Response(text=_PASSWORD.sub(rf"\1{_HIDDEN}", text))

    def _secret(self, name: str) -> str:
        return users_secret(name, self._secrets)

    async def ping(self, _request: web.Request) -> web.Response:
        return _json(docker_flow_params.answer())


async def _query(request: web.Request) -> Query:
    pairs = list(request.query.items())
    if request.method == "POST" and request.content_type == "application/x-www-form-urlencoded":
        try:
            text = (await bodies.read(request)).decode()
            form = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
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

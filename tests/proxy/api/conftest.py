"""The API over HTTP with a proxy service that stands in."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from aiohttp import web

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.dashboard import Dashboard
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.events import EventLog
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.proxy.telemetry.haproxy_stats import TrafficReader
from jenkins_proxy.proxy.telemetry.metrics import Meter

PREFIX = "/v1/docker-flow-proxy"
ARTICLE = f"{PREFIX}/reconfigure?serviceName=books-ms&servicePath=/api/v1/books"


@pytest.fixture
def registry_url() -> str:
    """Of a registry that no call comes to."""
    return "http://127.0.0.1:1"


@pytest.fixture
async def call(proxy_service, registry_url, certificates, files):
    """``await call("GET", "/v1/routes")``: status and JSON (or text); ``token=`` makes a daemon that wants one."""
    sessions: dict[str, aiohttp.ClientSession] = {}

    async def ask(_command: str) -> list[str]:
        raise ProxyError("no HAProxy here")

    async def start(stack: contextlib.AsyncExitStack, token: str) -> aiohttp.ClientSession:
        registry = await stack.enter_async_context(AsyncConsul(registry_url, connections=2))
        dashboard = Dashboard(
            proxy_service, EventLog(), Meter(), TrafficReader(ask), {}, certificates=certificates, files=files
        )
        waiter, authenticator = RouteWaiter(proxy_service, registry), Authenticator(Tokens(change_token(token)))
        runner = app.runner(
            app.application(
                authenticator,
                Audit(),
                Routes(proxy_service, waiter, authenticator),
                DockerFlow(proxy_service, waiter, certificates),
                dashboard,
                EventStream(EventLog(), Authenticator(Tokens())),
                app.Meta(proxy_service),
            )
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        session = aiohttp.ClientSession(f"http://{host}:{port}", headers={"User-Agent": "curl/7.88.1"})
        return await stack.enter_async_context(session)

    async with contextlib.AsyncExitStack() as stack:

        async def call(method: str, path: str, *, token: str = "", **more):
            if token not in sessions:
                sessions[token] = await start(stack, token)
            async with sessions[token].request(method, path, **more) as answer:
                json = answer.content_type == "application/json"
                return answer.status, await answer.json() if json else await answer.text()

        yield call

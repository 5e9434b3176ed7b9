"""The daemon: registry, proxy service with HAProxy, and API, started in this order and ended in the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.console import Console
from jenkins_proxy.consul_server.server import EmbeddedRegistry
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.api import sockets
from jenkins_proxy.proxy.api.app import application
from jenkins_proxy.proxy.api.app import runner as app_runner
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.dashboard import Dashboard, TrafficReader
from jenkins_proxy.proxy.events import Event, EventLog
from jenkins_proxy.proxy.haproxy import render
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.service import ProxyService, RouteWaiter
from jenkins_proxy.proxy.telemetry.metrics import Meter
from jenkins_proxy.registrator.agent import run_agent
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    from jenkins_proxy.clients.docker.endpoint import Endpoint

# Connections of the budget for callers who wait for a first instance, so that they never stand behind a watch.
_WAITERS = 8
_AGENT = 4
# Events that come by the hundred, or that another one tells better.
QUIET_EVENTS = ("in-rotation", "reload")


@dataclass(frozen=True)
class Embedded:
    """A registry in this process, and the agent that fills it.

    :ivar engine: whose containers are entered.
    :ivar ip: the address of every entry; empty: the binding's own.
    :ivar host_ip: the address for bindings on every address; empty: what the engine's host name resolves to.
    """

    listen: Address
    engine: Endpoint
    ip: str = ""
    host_ip: str = ""


@dataclass(frozen=True)
class Options:
    """How a daemon runs.

    :ivar listen: of the API.
    :ivar haproxy: what holds for HAProxy: where users enter, its timeouts.
    :ivar embedded: None when a Consul is given.
    :ivar connections: how many connections to the registry are held at the most.
    :ivar names: host names by which callers may reach the API and the embedded registry without a token.
    """

    listen: Address
    haproxy: render.Options
    embedded: Embedded | None
    state_dir: Path
    token: str = ""
    tls: ssl.SSLContext | None = None
    connections: int = 100
    names: tuple[str, ...] = ()


async def run(options: Options, settings: Settings, console: Console, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set, then end everything in order.

    :raises UsageError: when a port is taken, HAProxy is missing or refuses, or the state directory is not usable.
    """
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(sockets.own_directory(options.state_dir))
        # Before anything is started that a taken port would have to undo.
        port = stack.enter_context(sockets.take_port(options.listen, "--listen"))
        url = settings.consul
        if options.embedded:
            url = await stack.enter_async_context(_embedded(options, settings, console))
        registry, waiter_client = [
            await stack.enter_async_context(_client(url, settings, options, connections))
            for connections in (options.connections - _WAITERS, _WAITERS)
        ]
        haproxy = HAProxy(options.haproxy, options.state_dir / "haproxy")
        proxy_service = ProxyService(
            registry,
            haproxy,
            state_dir=options.state_dir,
            name=_name(options),
            connections=options.connections - _WAITERS,
        )
        event_log, meter = EventLog(), Meter()
        await stack.enter_async_context(
            _background(_follow(proxy_service.events(), event_log, meter, console), console)
        )
        stack.push_async_callback(proxy_service.stop)
        await proxy_service.start()
        if options.embedded:
            await stack.enter_async_context(_agent(url, options, settings, console))
        about = {"registry": url, "embedded": bool(options.embedded), "entry": ", ".join(options.haproxy.binds)}
        dashboard = Dashboard(proxy_service, event_log, meter, TrafficReader(haproxy.runtime.ask), about)
        auth = Authenticator(options.token, options.names)
        app = application(proxy_service, RouteWaiter(proxy_service, waiter_client), auth, dashboard)
        await stack.enter_async_context(_served(app, port, options.tls, event_log))
        console.step(_ready(options, url))
        await stop.wait()
        console.step("stopping: no new calls, then HAProxy once its requests have ended")


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether what aiohttp logs says anything of us: a stranger's broken request has its 400, and could fill logs."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


@contextlib.asynccontextmanager
async def _embedded(options: Options, settings: Settings, console: Console) -> AsyncIterator[str]:
    """The embedded registry's address, while it serves."""
    registry = EmbeddedRegistry(
        options.state_dir / "registry", settings.consul_token, names=options.names, warn=console.warning
    )
    await registry.start(options.embedded.listen.host, options.embedded.listen.port)
    try:
        yield registry.url
    finally:
        await registry.stop()


def _client(url: str, settings: Settings, options: Options, connections: int) -> AsyncConsul:
    if options.embedded:
        return AsyncConsul(url, settings.consul_token, connections=connections)
    return AsyncConsul.from_settings(settings, connections=connections)


@contextlib.asynccontextmanager
async def _agent(url: str, options: Options, settings: Settings, console: Console) -> AsyncIterator[None]:
    """The agent that enters this machine's containers, for as long as this lasts. Without Docker it keeps trying."""
    async with _client(url, settings, options, _AGENT) as registry:
        work = run_agent(
            options.embedded.engine, registry, log=console, ip=options.embedded.ip, host_ip=options.embedded.host_ip
        )
        async with _background(work, console):
            yield


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None], console: Console) -> AsyncIterator[None]:
    """Something that runs beside the rest. When it fails, it is told, and the rest goes on: users come first."""

    def report(ended: asyncio.Task) -> None:
        error = None if ended.cancelled() else ended.exception()
        if isinstance(error, JenkinsProxyError):
            console.error(error.message, error.hint)
        elif error:
            console.error(f"a bug ended {work.__name__}: {error!r}", "restart the daemon, and report this")

    task = asyncio.ensure_future(work)
    task.add_done_callback(report)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _follow(events: AsyncIterator[Event], event_log: EventLog, meter: Meter, console: Console) -> None:
    async for event in events:
        event_log.add(event)
        meter.observe(event)
        if event.kind not in QUIET_EVENTS:
            words = [event.kind.replace("-", " "), event.service, str(event.address or ""), event.detail]
            console.step(" ".join(word for word in words if word))


@contextlib.asynccontextmanager
async def _served(
    app: web.Application, port: socket.socket, tls: ssl.SSLContext | None, event_log: EventLog
) -> AsyncIterator[None]:
    runner = app_runner(app)
    await runner.setup()
    try:
        await web.SockSite(runner, port, ssl_context=tls).start()
        yield
    finally:
        # Those who follow the events would keep the runner from ending.
        event_log.close()
        await runner.cleanup()


def _name(options: Options) -> str:
    """Of this proxy among those that share a registry."""
    return f"{socket.gethostname()}-{options.listen.port}"


def _ready(options: Options, url: str) -> str:
    scheme = "https" if options.tls else "http"
    kind = "embedded registry" if options.embedded else "registry"
    return (
        f"serving: users enter at {', '.join(options.haproxy.binds)}, "
        f"API and page at {scheme}://{options.listen}/, {kind} at {url}"
    )

"""The daemon: registry, proxy with HAProxy, and API, started in this order and ended in the other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from jenkins_proxy import connection_limit, memory
from jenkins_proxy.aio import cancel_all
from jenkins_proxy.certificate_files import CertificateFiles
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.clients.consul.async_client import AsyncConsul, warn_of_missing_rights
from jenkins_proxy.connection_limit import ConnectionLimit
from jenkins_proxy.consul_server.server import EmbeddedRegistry, Owner
from jenkins_proxy.hostnames import is_loopback
from jenkins_proxy.proxy import state_dir
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.registry_keys import RegistryKeys
from jenkins_proxy.proxy.api import sockets
from jenkins_proxy.proxy.api.app import Meta, application
from jenkins_proxy.proxy.api.app import runner as app_runner
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.counts import UserCounts
from jenkins_proxy.proxy.api.dashboard import Dashboard
from jenkins_proxy.proxy.api.docker_flow import environ_services
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.api.releases import Releases
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.certificates import compose
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.certificates.sharing import SHARED
from jenkins_proxy.proxy.controller import Controller
from jenkins_proxy.proxy.events import Event, EventLog
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.hold_store import HOLDS
from jenkins_proxy.proxy.options import Embedded, Options
from jenkins_proxy.proxy.route_store import DRAINS, PROXIES, ROUTES
from jenkins_proxy.proxy.service.counting import COUNTS
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.proxy.telemetry.haproxy_stats import TrafficReader
from jenkins_proxy.proxy.telemetry.metrics import Meter
from jenkins_proxy.registrator.agent import run_agent
from jenkins_proxy.settings import Settings

_LOG = logging.getLogger(__name__)

# Connections of the budget for callers who wait for a first instance, so that they never stand behind a watch.
_WAITERS = 8
_AGENT_CONNECTIONS = 4
# The API and the embedded registry.
_SERVERS = 2
# What the API's token guards is not to be had by the registry's door.
_OWN_KEYS = (ROUTES, DRAINS, PROXIES, HOLDS, COUNTS, SHARED)
QUIET_EVENTS = ("in-rotation", "reload", "certificate-refused", "certificate-expires")
"""Events that are not logged: of many instances there are hundreds, and ``instance-up`` or ``route-put`` say it too;
what is wrong with a certificate has a line of its own, at its level."""


async def run(options: Options, settings: Settings, stop: asyncio.Future[bool]) -> None:
    """Serve until ``stop`` has its result, then end everything in order.

    :param stop: its result is whether HAProxy ends, too. Without that it goes on serving users, and the next daemon
        with this state directory takes it over.
    :raises UsageError: when a port is taken, HAProxy is missing or refuses, or the state directory is not usable.
    """
    logging.getLogger("aiohttp.server").addFilter(_concerns_operator)
    connection_limit.raise_limit()
    memory.give_back()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(state_dir.locked(options.state_dir))
        # Before anything is started that a taken port would have to undo.
        port = stack.enter_context(sockets.take_port(options.listen, "--listen"))
        url, audit = settings.consul, Audit()
        if options.embedded:
            url = await stack.enter_async_context(_embedded_registry(options, options.embedded, settings, audit))
        registry = await stack.enter_async_context(_client(url, settings, options, options.connections - _WAITERS))
        waiter_client = await stack.enter_async_context(_client(url, settings, options, _WAITERS))
        haproxy = HAProxy(options.haproxy, options.state_dir / "haproxy", options.timing)
        controller = Controller(
            registry,
            haproxy,
            state_dir=options.state_dir,
            name=_name(options),
            timing=options.timing,
        )
        event_log, meter = EventLog(), Meter()
        events = controller.events.subscribe()
        await stack.enter_async_context(
            _background(controller, "the event log", functools.partial(_record, events, event_log, meter))
        )
        stack.push_async_callback(_end, controller, haproxy, stop)
        given, bus, timing = options.entry_certificates, controller.events, options.timing
        certificates = compose.create(
            haproxy,
            given,
            store=options.state_dir / "certs",
            registry=waiter_client,
            events=bus,
            reload=controller.service.reload,
            timing=timing,
        )
        engine = options.embedded.engine if options.embedded else None
        files = compose.files(given, settings, engine, events=bus)
        certificates.prepare()
        await controller.start()
        for name, work in compose.work(certificates, given, options.tls, files, events=bus, timing=timing):
            await stack.enter_async_context(_background(controller, name, work))
        if options.embedded:
            await stack.enter_async_context(_agent(controller, url, options, options.embedded, settings))
        else:
            shares = (rights.SHARE_CERTS,) if given.share_key else ()
            warning = functools.partial(warn_of_missing_rights, waiter_client, rights.PROXY, shares)
            await stack.enter_async_context(_background(controller, "the question for rights", warning))
        waiter = RouteWaiter(controller.service, waiter_client, options.timing)
        users = options.haproxy.route_defaults.users
        docker_flow = DockerFlow(controller.service, waiter, certificates, options.separator, users=users)
        declared = functools.partial(
            environ_services.put, options.services, docker_flow.apply, options.timing.registry_retry_max
        )
        await stack.enter_async_context(_background(controller, "the environment's services", declared))
        app = _api(
            options,
            url,
            controller,
            waiter,
            docker_flow,
            releases=Releases(waiter_client),
            event_log=event_log,
            meter=meter,
            haproxy=haproxy,
            audit=audit,
            certificates=certificates,
            files=files,
        )
        await stack.enter_async_context(_served(app, port, options, event_log))
        _LOG.info(_ready(options, url))
        ends_haproxy = await asyncio.shield(stop)
        _LOG.info("stopping: no new calls" + (", then HAProxy once its requests have ended" if ends_haproxy else ""))


async def _end(controller: Controller, haproxy: HAProxy, stop: asyncio.Future[bool]) -> None:
    """Stop what was started. Where the start itself failed, whoever was served before stays so."""
    ends_haproxy = stop.result() if stop.done() and not stop.cancelled() else not haproxy.took_over
    await (controller.stop() if ends_haproxy else controller.leave())


def _api(
    options: Options,
    url: str,
    controller: Controller,
    waiter: RouteWaiter,
    docker_flow: DockerFlow,
    *,
    releases: Releases,
    event_log: EventLog,
    meter: Meter,
    haproxy: HAProxy,
    audit: Audit,
    certificates: CertificateService,
    files: CertificateFiles,
) -> web.Application:
    service, timing = controller.service, options.timing
    about = {"registry": url, "embedded": bool(options.embedded), "entry": ", ".join(_entries(options))}
    authenticator = Authenticator(
        options.tokens,
        options.names,
        loopback=is_loopback(options.listen.host),
        certificates=options.certificates,
    )
    return application(
        authenticator,
        audit,
        Routes(service, waiter, authenticator),
        HoldRoutes(controller.holds),
        UserCounts(controller.counting),
        Certificates(certificates),
        docker_flow,
        Dashboard(
            service,
            event_log,
            meter,
            TrafficReader(haproxy.runtime.ask, timing=timing),
            about,
            certificates=certificates,
            files=files,
        ),
        EventStream(event_log, authenticator, timing=timing),
        releases,
        Meta(service),
    )


def _concerns_operator(record: logging.LogRecord) -> bool:
    """Whether a record of aiohttp's is about the daemon. A malformed request is about its sender, who got a 400, and so
    is one who does not wait for the answer; and any sender could fill the log with them."""
    of_the_sender = HttpProcessingError | web.RequestPayloadError | ConnectionError
    return not (record.exc_info and isinstance(record.exc_info[1], of_the_sender))


@contextlib.asynccontextmanager
async def _embedded_registry(
    options: Options, embedded: Embedded, settings: Settings, audit: Audit
) -> AsyncIterator[str]:
    """The embedded registry's address, while it serves."""
    keys = RegistryKeys(options.tokens, options.own_token, settings.consul_token, audit, unrecorded=(PROXIES, COUNTS))
    owner = Owner(keys.opens, _OWN_KEYS, alone=options.guarded, told=keys.told)
    folder = options.state_dir / "registry"
    limit = ConnectionLimit("the embedded registry", connection_limit.share(_SERVERS))
    registry = EmbeddedRegistry(folder, settings.consul_token, names=options.names, owner=owner, limit=limit)
    await registry.start(embedded.listen.host, embedded.listen.port)
    try:
        yield registry.url
    finally:
        await registry.stop()


def _client(url: str, settings: Settings, options: Options, connections: int) -> AsyncConsul:
    if options.embedded:
        return AsyncConsul(url, options.own_token, connections=connections)
    return AsyncConsul.from_settings(settings, connections=connections)


@contextlib.asynccontextmanager
async def _agent(
    controller: Controller, url: str, options: Options, embedded: Embedded, settings: Settings
) -> AsyncIterator[None]:
    """The agent that registers this machine's containers, for as long as this lasts. Without Docker it keeps trying."""
    async with _client(url, settings, options, _AGENT_CONNECTIONS) as registry:
        work = functools.partial(run_agent, embedded.engine, registry, ip=embedded.ip, host_ip=embedded.host_ip)
        async with _background(controller, "the agent", work):
            yield


@contextlib.asynccontextmanager
async def _background(
    controller: Controller, name: str, work: Callable[[], Coroutine[Any, Any, None]]
) -> AsyncIterator[None]:
    """Something that runs beside the rest. When it dies it is started again, and the rest goes on: users come first."""
    task = asyncio.create_task(controller.tasks.supervise(name, work))
    try:
        yield
    finally:
        await cancel_all([task])


async def _record(events: AsyncIterator[Event], event_log: EventLog, meter: Meter) -> None:
    async for event in events:
        event_log.add(event)
        meter.observe(event)
        if event.kind not in QUIET_EVENTS:
            words = [event.kind.replace("-", " "), event.service, str(event.address or ""), event.detail]
            _LOG.info(" ".join(word for word in words if word))


@contextlib.asynccontextmanager
async def _served(
    app: web.Application, port: socket.socket, options: Options, event_log: EventLog
) -> AsyncIterator[None]:
    runner = app_runner(app, options.timing)
    await runner.setup()
    limit = ConnectionLimit("the API", connection_limit.share(_SERVERS))
    server = await connection_limit.listen(runner, port, limit, tls=options.tls)
    try:
        yield
    finally:
        server.close()
        # Those who follow the events would keep the runner from ending.
        event_log.close()
        await runner.cleanup()


def _name(options: Options) -> str:
    """Of this proxy among those that share a registry."""
    return f"{socket.gethostname()}-{options.listen.port}"


def _entries(options: Options) -> tuple[str, ...]:
    """Where users connect."""
    tls = options.haproxy.entry.tls
    return options.haproxy.binds + (tuple(f"https://{bind}" for bind in tls.binds) if tls else ())


def _ready(options: Options, url: str) -> str:
    scheme = "https" if options.tls else "http"
    kind = "embedded registry" if options.embedded else "registry"
    return (
        f"serving: users enter at {', '.join(_entries(options))}, "
        f"API and page at {scheme}://{options.listen}/, {kind} at {url}"
    )

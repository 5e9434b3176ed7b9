"""The agent that enters this engine's containers into the registry and takes them out again.

    await run_agent(endpoint, registry, ip="127.0.0.1")     # until it is cancelled; the entries stay

It gives entries the names of gliderlabs/registrator (``service_entries.py``) but works differently. Events only change
what is *desired*; one task for each entry that differs then brings the registry there, whatever happened meanwhile, so
no order of events can leave an entry deleted or stale. A comparison with what really runs and what is really registered
repairs everything else: at the start, at each new event stream, when the registry comes back or has lost its memory,
after a failed call, and every :attr:`Timing.compare_every` seconds. An entry is removed when its container is *told*
to stop (``kill``), not when it is dead: its users are led elsewhere while it still answers.

When the agent ends, the entries stay: the containers do too, and the next agent compares. Entries of this host name
that no container asks for are removed, those of other hosts never, so host names must differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import random
import socket
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.aio import cancel_all, with_timeout
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.docker.async_engine import AsyncEngine
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.errors import DockerError, RegistryError, UsageError
from jenkins_proxy.registrator import service_entries
from jenkins_proxy.registrator.catalog import CatalogWatch
from jenkins_proxy.registrator.service_entries import EVERYTHING, Choice
from jenkins_proxy.registrator.sync import DesiredEntries, EntrySync, Timing

_LOG = logging.getLogger(__name__)

_INSPECTIONS_AT_ONCE = 16


async def run_agent(
    endpoint: Endpoint,
    registry: AsyncConsul,
    *,
    ip: str = "",
    host_ip: str = "",
    choice: Choice = EVERYTHING,
    timing: Timing | None = None,
) -> None:
    """Run an agent until cancelled.

    :param endpoint: the engine. The IDs begin with this host's name for its own engine, as Registrator's do, and with
        the engine's host for one far away: two of those must not take each other's entries for stale ones.
    :param ip: the address of every entry; empty: the binding's own.
    :param host_ip: the address for bindings on every address; empty: what the host's name resolves to.
    :param choice: which containers are entered, and what all entries have.
    :raises UsageError: when that resolves to nothing.
    """
    hostname = endpoint.host or socket.gethostname()
    if not (ip or host_ip):
        host_ip = _resolve(hostname)
        if ipaddress.ip_address(host_ip).is_loopback:
            _LOG.warning(
                "%s resolves to %s: other machines cannot reach such entries (--ip ADDRESS)", hostname, host_ip
            )
    engine = AsyncEngine(endpoint)
    try:
        agent = Registrator(engine, registry, hostname=hostname, ip=ip, host_ip=host_ip, choice=choice, timing=timing)
        await agent.run()
    finally:
        await engine.close()


def _resolve(hostname: str) -> str:
    try:
        addresses = socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(
            f"the host name {hostname} does not resolve: {error.strerror}",
            "--ip gives the address under which the published ports are reached",
        ) from error
    # IPv4 where there is one, as Registrator.
    return str(min(addresses, key=lambda item: item[0] != socket.AF_INET)[4][0])


class Registrator:
    """The agent.

    :param engine: whose containers.
    :param registry: the agent's API of this host's Consul, of a central one, or of the embedded registry.
    :param hostname: the first part of every ID.
    :param ip: the address of every entry; empty: the binding's own, or ``host_ip`` for bindings on every address.
    :param host_ip: this host's address.
    :param choice: which containers are entered, and what all entries have.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        registry: AsyncConsul,
        *,
        hostname: str,
        ip: str = "",
        host_ip: str = "",
        choice: Choice = EVERYTHING,
        timing: Timing | None = None,
    ) -> None:
        self._engine, self._registry = engine, registry
        self._hostname, self._ip, self._host_ip = hostname, ip, host_ip
        self._choice = choice
        self._timing = timing or Timing()
        self._desired = DesiredEntries(self._timing)
        self._compare = asyncio.Event()
        self._entries = EntrySync(registry, self._desired, hostname, self._compare.set, self._timing)
        self._catalog = CatalogWatch(registry, lambda: self._entries.registered, self._timing)
        self._counter = itertools.count()
        self._turns: dict[str, int] = {}
        self._inspecting: set[asyncio.Task[None]] = set()
        self._inspections = asyncio.Semaphore(_INSPECTIONS_AT_ONCE)

    async def run(self) -> None:
        """Keep the registry as the engine is, until cancelled. Engine and registry may come and go."""
        work = (self._follow_engine, self._follow_registry, self._repair, self._catalog.run)
        loops = [asyncio.create_task(loop()) for loop in work]
        try:
            # None of the first three ends but by an error that is a bug: then the others must not go on alone.
            await asyncio.gather(*loops)
        finally:
            await cancel_all([*loops, *self._inspecting, *self._entries.tasks])

    async def _follow_engine(self) -> None:
        backoff = self._timing.backoff()
        while True:
            try:
                async for event in self._engine.events():
                    if event:
                        self._on_event(event)
                    else:
                        backoff.reset()
                        self._compare.set()
                _LOG.warning("the Docker Engine has closed its event stream")
            except DockerError as error:
                if not backoff.started:
                    _LOG.warning("%s; trying again", error.message)
            await asyncio.sleep(backoff.next_pause())

    def _on_event(self, event: Mapping[str, Any]) -> None:
        container_id, action = event["Actor"]["ID"], event["Action"]
        if action == "kill":
            self._entries.converge(self._desired.killed(container_id, int(event["Actor"]["Attributes"]["signal"])))
        elif action in ("die", "destroy"):
            self._turns.pop(container_id, None)
            self._entries.converge(self._desired.ended(container_id))
        else:
            if action == "start":
                self._desired.started(container_id)
            self._inspect_soon(container_id)

    def _inspect_soon(self, container_id: str) -> None:
        """Inspect a container apart from the stream: a slow answer must not hold up the next event."""
        turn = self._turns[container_id] = next(self._counter)
        task = asyncio.create_task(self._inspect(container_id, turn))
        self._inspecting.add(task)
        task.add_done_callback(self._inspecting.discard)

    async def _inspect(self, container_id: str, turn: int) -> None:
        try:
            async with self._inspections:
                container = await self._engine.inspect(container_id)
                network_ip = await self._network_ip(container) if container else ""
        except DockerError as error:
            _LOG.warning("%s", error.message)
            self._compare.set()
            return
        if self._turns.get(container_id) != turn:
            return  # it ended, or was inspected again, while we waited: this answer is out of date
        if container is None or not container["State"]["Running"]:
            self._turns.pop(container_id)
            self._entries.converge(self._desired.ended(container_id))
            return
        entries = service_entries.entries(
            container,
            hostname=self._hostname,
            ip=self._ip,
            host_ip=self._host_ip,
            network_ip=network_ip,
            choice=self._choice,
        )
        self._entries.converge(self._desired.runs(container, entries))

    async def _network_ip(self, container: Mapping[str, Any]) -> str:
        mode = container["HostConfig"]["NetworkMode"]
        if not mode.startswith("container:"):
            return ""
        other = await self._engine.inspect(mode.partition(":")[2])
        return other["NetworkSettings"]["IPAddress"] if other else ""

    async def _follow_registry(self) -> None:
        """Notice at once that the registry is back, or begins anew, by waiting for a change of its list of services."""
        backoff, index = self._timing.backoff(), 0
        while True:
            try:
                _, next_index = await self._registry.watch_services(index=index, wait=self._timing.registry_wait)
                if next_index < index or backoff.started:
                    _LOG.info("the registry is back: comparing")
                    self._compare.set()
                index = next_index
                backoff.reset()
            except RegistryError as error:
                if not backoff.started:
                    _LOG.warning("%s; trying again", error.message)
                index = 0
                await asyncio.sleep(backoff.next_pause())

    async def _repair(self) -> None:
        backoff = self._timing.backoff()
        while True:
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._compare.wait(), self._timing.compare_every * random.uniform(0.8, 1.0))
            everything = self._compare.is_set()
            self._compare.clear()
            try:
                await self._compare_engine(everything)
                await self._entries.compare()
                backoff.reset()
            except (DockerError, RegistryError):
                # The loops that follow the two have logged it.
                self._compare.set()
                await asyncio.sleep(backoff.next_pause())

    async def _compare_engine(self, everything: bool) -> None:
        """Inspect what runs and has no entries, and the other way round; with ``everything`` all that runs."""
        entered = self._desired.containers
        running = {item["Id"] for item in await self._engine.containers()}
        for container_id in (running | entered) if everything else (running ^ entered):
            self._inspect_soon(container_id)
        if self._inspecting:
            await asyncio.wait(set(self._inspecting))

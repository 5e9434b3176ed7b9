"""Publishes what this proxy serves to the other proxies and to deployments, for as long as it lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)

_MAX_NAMED = 1000
"""A value of the registry's store may have 512 KiB."""


class Heartbeat:
    """The key ``jenkins-proxy/proxies/<name>``, bound to a session.

    :param name: this proxy's name among several.
    :ivar busy: what is in flight on drained instances, by service and address, whenever it is published.
    """

    def __init__(self, registry: AsyncConsul, store: RouteStore, name: str, timing: Timing = DEFAULT) -> None:
        self._registry = registry
        self._store = store
        self._name = name
        self._ttl = timing.session_ttl
        self._session = ""
        self._published = False
        self._refusal = ""
        self._served: dict[str, Any] = {}
        self._counts: Mapping[str, Any] = {}
        self._changed = asyncio.Event()
        self.busy: Callable[[], Mapping[str, Mapping[str, str]]] = dict

    @property
    def name(self) -> str:
        """This proxy's name among several."""
        return self._name

    def update(self, *, version: int, index: int, holds: int, drains: int, awaiting: Collection[str]) -> None:
        """This is served now.

        :param version: of HAProxy's configuration.
        :param index: of the store up to which its routes are served, which callers of other proxies compare with.
        :param holds: the same of its holds; ``drains`` of its drains.
        :param awaiting: services whose users cannot be served yet.
        """
        named = sorted(awaiting) if len(awaiting) <= _MAX_NAMED else None
        self._served = {"version": version, "index": index, "holds": holds, "drains": drains, "awaiting": named}
        self._changed.set()

    def update_counts(self, counts: Mapping[str, Any]) -> None:
        """These users were counted by now.

        :param counts: the JSON of each count, by its ID.
        """
        if counts != self._counts:
            self._counts = counts
            self._changed.set()

    def touch(self) -> None:
        """What is asked for when it is published has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Publish, until cancelled. Without the registry it is tried again: nothing here keeps requests from being
        served."""
        while True:
            self._changed.clear()
            try:
                await self._publish()
                self._refusal = ""
            except RegistryRefused as error:
                # That the registry is away is said by those who follow it; that it refuses this, by nobody else.
                if error.message != self._refusal:
                    _LOG.warning("this proxy is not counted among the live ones: %s", error.message)
                self._refusal = error.message
            except RegistryError:
                pass
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._changed.wait(), self._ttl / 3)

    async def end(self) -> None:
        """Be gone at once, not when the session's time is over."""
        if self._session:
            with contextlib.suppress(RegistryError):
                await self._registry.session_destroy(self._session)

    async def _publish(self) -> None:
        former = self._session
        if not former or not await self._registry.session_renew(former):
            self._session = await self._registry.session_create(f"jenkins-proxy {self._name}", self._ttl)
        busy = self.busy()
        named = busy if sum(map(len, busy.values())) <= _MAX_NAMED else None
        state = {**self._served, "counts": self._counts, "busy": named}
        if not await self._store.publish(self._name, self._session, state):
            await self._take_key(former)
            await self._store.publish(self._name, self._session, state)
        self._published = True

    async def _take_key(self, former: str) -> None:
        """Another session holds our key."""
        holder = await self._store.session_of(self._name)
        if holder and holder == former:
            # A server that has just come to lead may deny a session that it does not know yet.
            await self._registry.session_destroy(self._session)
            self._session = former
        elif holder and not self._published:
            # That of the daemon before us, which was killed or has left HAProxy to us.
            await self._registry.session_destroy(holder)

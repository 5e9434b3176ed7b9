"""Tells the other proxies and whoever deploys what this one serves, for as long as it lives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.route_store import RouteStore

_TTL = 30.0
_RENEWAL = _TTL / 3


class Heartbeat:
    """The key ``jenkins-proxy/proxies/<name>``, bound to a session.

    :param state: what to tell; asked at each change and each renewal.
    """

    def __init__(
        self, registry: AsyncConsul, store: RouteStore, name: str, state: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._registry = registry
        self._store = store
        self._name = name
        self._state = state
        self._session = ""
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The state is another one now."""
        self._changed.set()

    async def keep(self) -> None:
        """Publish, for ever. Without the registry it is tried again: nothing here keeps requests from being served."""
        while True:
            with contextlib.suppress(RegistryError):
                await self._publish()
            with contextlib.suppress(asyncio.TimeoutError):
                await with_timeout(self._changed.wait(), _RENEWAL)
            self._changed.clear()

    async def end(self) -> None:
        """Be gone at once, not when the session's time is over."""
        if self._session:
            with contextlib.suppress(RegistryError):
                await self._registry.session_destroy(self._session)

    async def _publish(self) -> None:
        if not self._session or not await self._registry.session_renew(self._session):
            self._session = await self._registry.session_create(f"jenkins-proxy {self._name}", _TTL)
        await self._store.publish(self._name, self._session, self._state())

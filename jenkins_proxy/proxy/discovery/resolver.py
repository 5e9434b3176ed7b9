"""Looks up host names, when they come up and again every half a minute."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class Resolver:
    """Keeps the desired state's host names current. A name that has other addresses than before enqueues all routes."""

    def __init__(self, desired: DesiredState, loop: ReconcileLoop, timing: Timing = DEFAULT) -> None:
        self._desired = desired
        self._loop = loop
        self._timing = timing

    async def lookup(self, addresses: Iterable[Address]) -> None:
        """Look up the names among these that are not known yet."""
        await self._lookup(self._desired.hosts.unknown(addresses))

    async def run(self) -> None:
        """Look up all names again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._timing.dns_refresh)
            await self._lookup(self._desired.hosts.names)

    async def _lookup(self, names: Collection[str]) -> None:
        changed = await asyncio.gather(*map(self._lookup_name, names))
        if any(changed):
            self._loop.enqueue(self._desired.services)

    async def _lookup_name(self, name: str) -> bool:
        query = asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        try:
            answers = await with_timeout(query, self._timing.dns_timeout)
        except (TimeoutError, OSError, UnicodeError):
            self._desired.hosts.put_unresolved(name)
            return False
        return self._desired.hosts.put(name, (str(answer[4][0]) for answer in answers))

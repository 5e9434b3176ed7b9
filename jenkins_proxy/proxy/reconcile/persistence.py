"""Keeps routes, drains and holds on disk, so that a start without the registry serves what served before."""

from __future__ import annotations

import asyncio

from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_cache import RouteCache


class Persistence:
    """Saves the desired state after each change.

    :ivar problem: why the last attempt failed; empty when it did not.
    """

    def __init__(self, desired: DesiredState, cache: RouteCache) -> None:
        self._desired = desired
        self._cache = cache
        self._changed = asyncio.Event()
        self._saving = asyncio.Lock()
        self.problem = ""

    def changed(self) -> None:
        """Routes, drains or holds differ from what is on disk."""
        self._changed.set()

    async def run(self) -> None:
        """Save what changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.flush()
                self.problem = ""
            except OSError as error:
                self.problem = f"cannot keep the routes on disk: {error}"

    async def flush(self) -> None:
        """Save what is desired now.

        :raises OSError: when it cannot be written.
        """
        desired = self._desired
        async with self._saving:
            await self._cache.save(
                desired.routes, desired.drains, desired.store_id, desired.holds.known, desired.removed
            )

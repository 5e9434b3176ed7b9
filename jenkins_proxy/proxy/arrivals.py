"""Routes for services that are about to come: wait for the first instance, by the registry's watch."""

from __future__ import annotations

import asyncio

from jenkins_proxy.ending import in_time
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.desired import live
from jenkins_proxy.proxy.reconciler import Reconciler
from jenkins_proxy.proxy.states import ConflictError, RouteState
from jenkins_proxy.registry.aio import AsyncConsul
from jenkins_proxy.waiting import Deadline

_LONGEST_QUERY = 60.0


class Arrivals:
    """Puts routes as soon as their services have an instance.

    :param registry: a client of its own: its number of connections bounds how many wait at once, and leaves those of
        the reconciler's watches alone.
    """

    def __init__(self, reconciler: Reconciler, registry: AsyncConsul) -> None:
        self._reconciler = reconciler
        self._registry = registry

    async def put(self, route: Route, *, allow_empty: bool = False, wait: float = 0.0) -> RouteState:
        """As :meth:`Reconciler.put`, and when there is no live instance, again when the first one comes.

        :param wait: seconds to wait for it.
        """
        try:
            return await self._reconciler.put(route, allow_empty=allow_empty)
        except ConflictError:
            # What is refused for another reason, such as a path that another service holds, is not worth a wait.
            await self._reconciler.put(route, allow_empty=True, dry_run=True)
            if not await self._arrives(route, Deadline(wait)):
                raise
        return await self._reconciler.put(route, allow_empty=allow_empty)

    async def _arrives(self, route: Route, deadline: Deadline) -> bool:
        index = 0
        while not route.outbound_hostname and not deadline.expired:
            wait = min(deadline.remaining, _LONGEST_QUERY)
            query = self._registry.instances(route.registry_name, index=index, wait=wait)
            try:
                # The registry adds jitter to a wait: without a limit of ours the answer would come after the deadline.
                instances, index = await in_time(query, deadline.remaining)
            except asyncio.TimeoutError:
                return False
            if live(instances):
                return True
        return False

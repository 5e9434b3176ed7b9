"""Puts a route as soon as its service has an instance. Callers come right after ``up -d``, and registration takes a
moment."""

from __future__ import annotations

import functools
from collections.abc import Collection

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.models import ConflictError, NotReadyError, RouteState
from jenkins_proxy.proxy.reconcile.instances import live
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.retry import Deadline


class RouteWaiter:
    """Waits for first instances.

    :param registry: a client of its own: its number of connections bounds how many callers wait at once, and leaves
        those of the watches alone.
    """

    def __init__(self, proxy_service: ProxyService, registry: AsyncConsul, timing: Timing = DEFAULT) -> None:
        self._service = proxy_service
        self._registry = registry
        self._max_query = timing.first_instance_query

    async def put(
        self,
        route: Route,
        *,
        allow_empty: bool = False,
        wait: float = 0.0,
        take_over: bool = False,
        instead_of: Collection[str] = (),
        proxies: float | None = None,
    ) -> RouteState:
        """As :meth:`ProxyService.put`, and when there is no live instance, again when the first one comes.

        :param wait: seconds to wait for it, and for its answer.
        :param instead_of: as of :meth:`ProxyService.put`, as is ``proxies``.
        """
        deadline = Deadline(wait)
        put = functools.partial(self._service.put, route, take_over=take_over, instead_of=instead_of)
        try:
            return await put(allow_empty=allow_empty, wait=wait, proxies=proxies)
        except NotReadyError:
            raise
        except ConflictError:
            # What is refused for another reason, such as a path that another service holds, is not worth a wait.
            await put(allow_empty=True, dry_run=True)
            if not await self._wait_for_instance(route, deadline):
                raise
        return await put(allow_empty=allow_empty, wait=deadline.remaining, proxies=proxies)

    async def _wait_for_instance(self, route: Route, deadline: Deadline) -> bool:
        index = 0
        while not route.outbound_hostname and not deadline.expired:
            wait = min(deadline.remaining, self._max_query)
            query = self._registry.instances(route.registry_name, index=index, wait=wait)
            try:
                # The registry adds jitter to a wait: without a limit of ours the answer would come after the deadline.
                instances, index = await with_timeout(query, deadline.remaining)
            except TimeoutError:
                return False
            if live(instances):
                return True
        return False

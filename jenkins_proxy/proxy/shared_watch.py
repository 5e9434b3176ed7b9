"""Two blocking queries that wake up when one of many services may have changed, without reading any of them.

The list of service names wakes up for every change of an entry, and does not say which: a sweep over the services'
indexes does. Checks have a table of their own and do not touch the entries, so the list of critical checks is watched
beside it. (Seen with Consul 1.8.7; the tables behind it are ``services`` and ``checks`` of its state store.)
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Callable

from jenkins_proxy.model import CRITICAL
from jenkins_proxy.proxy.reachability import Reachability
from jenkins_proxy.proxy.tasks import Tasks
from jenkins_proxy.registry.aio import AsyncConsul
from jenkins_proxy.registry.entries import Check

EVERY = None
"""Instead of names: any service may have changed."""

CONNECTIONS = 2

Changed = Callable[["Collection[str] | None"], None]


class SharedWatch:
    """Watches the names of services, and the critical checks.

    :param changed: called with the names of the services that may have changed, or with ``EVERY``.
    :param tasks: who runs the watches.
    :param wait: seconds that a quiet query takes.
    """

    def __init__(
        self, registry: AsyncConsul, reachability: Reachability, changed: Changed, *, tasks: Tasks, wait: float
    ) -> None:
        self._registry = registry
        self._reach = reachability
        self._changed = changed
        self._tasks = tasks
        self._wait = wait

    def start(self) -> None:
        """Watch, until the tasks are ended."""
        for work in (self._watch_names(), self._watch_critical()):
            self._tasks.start(work)

    async def _watch_names(self) -> None:
        async for _names, moved in self._reach.watch(functools.partial(self._registry.services, wait=self._wait)):
            if moved:
                self._changed(EVERY)

    async def _watch_critical(self) -> None:
        before: frozenset[Check] = frozenset()
        ask = functools.partial(self._registry.health_state, CRITICAL, wait=self._wait)
        async for checks, _moved in self._reach.watch(ask):
            now = frozenset(checks)
            names = {check.service for check in before ^ now}
            before = now
            # A check without a service is its node's, and concerns all that is there.
            if "" in names:
                self._changed(EVERY)
            elif names:
                self._changed(names)

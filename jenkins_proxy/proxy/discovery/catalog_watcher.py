"""Reports which services of a registry changed, with few connections however many there are.

Three queries report together what no answer of Consul's does alone: the critical checks, by name; each node, whose
answer has the index of every entry on it; and the names of all services, which report only that something changed.
This last one is asked while there are nodes without a watch: more of them than connections, or one with so many entries
that a sweep over the services costs the registry less than its answer.

An entry or a critical check that comes and goes between two answers is in neither of them, but whoever read its service
just then has it. So each reading is compared with the last answers: where it has more, the service is reported again.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import Check
from jenkins_proxy.clients.consul.requests import EndlessAnswer
from jenkins_proxy.model import CRITICAL, Instance
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.timing import DEFAULT, Timing

EVERY = None
"""Instead of names: any service may have changed."""

CONNECTIONS = 3
"""Of a :class:`CatalogWatcher`, beside those of its nodes."""

OnServicesChanged = Callable[["Collection[str] | None"], None]

# Of a node's answer: some two thousand entries, which take Consul as long as a sweep over a thousand services.
_MAX_NODE = 2**20
# To read so many services takes as long as to find in a sweep which of thousands changed.
_MANY = 100
# Of an entry or a check that was read and not answered: no answer has it, so the next one differs.
_READ = -1


@dataclass
class _Node:
    """What a node's watch answered last.

    :ivar entries: by service, as :func:`models.parse_node` gives them; and what was read since.
    """

    index: int = 0
    entries: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass
class _Critical:
    """The critical checks that were answered last; and those that were read since."""

    index: int = 0
    checks: set[Check] = field(default_factory=set)
    of: set[tuple[str, str]] = field(default_factory=set)

    def add(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self.checks.add(check)
            self.of.add((check.node, check.service_id))

    def covers(self, instance: Instance) -> bool:
        """Whether one of them is of the instance, or of its node."""
        return (instance.node, instance.id) in self.of or (instance.node, "") in self.of


class CatalogWatcher:
    """Watches nodes, names of services, and the critical checks.

    :param on_change: called with the names of the services that may have changed, or with ``EVERY``.
    :param tasks: the group that the watches run in.
    :param max_nodes: how many nodes have a watch of their own at the most.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        reachability: Reachability,
        on_change: OnServicesChanged,
        *,
        tasks: TaskGroup,
        max_nodes: int,
        timing: Timing = DEFAULT,
    ) -> None:
        self._registry = registry
        self._reach = reachability
        self._on_change = on_change
        self._tasks = tasks
        self._max_nodes = max_nodes
        self._wait = timing.blocking_query
        self._pause = timing.sweep
        self._watches_nodes = False
        self._nodes: frozenset[str] = frozenset()
        self._watched: dict[str, _Node] = {}
        self._critical = _Critical()
        self._large: set[str] = set()
        self._uncovered = asyncio.Event()
        self._uncovered.set()

    def start(self) -> None:
        """Watch, until the tasks are ended."""
        self._tasks.keep("the watch of names", self._watch_names)
        self._tasks.keep("the watch of critical checks", self._watch_critical)
        self._tasks.keep("the regular sweep over services", self._keep_reporting)

    def watch_nodes(self) -> None:
        """Watch each node, too. A second call does nothing."""
        if not self._watches_nodes:
            self._watches_nodes = True
            self._tasks.keep("the watch of nodes", self._watch_nodes)

    def compare(self, service: str, instances: Sequence[Instance], index: int) -> None:
        """Report a service again, at once or with the next answer, where it was read with more than was answered.

        :param index: of the reading: an answer of the same index or a later one is newer.
        """
        outdated = False
        for name, count in Counter(instance.node for instance in instances).items():
            node = self._watched.get(name)
            # The first index is the node's own.
            if node and count > len(node.entries.get(service, (0,))) - 1:
                node.entries[service] = (_READ,) * (count + 1)
                outdated |= node.index >= index
        for instance in instances:
            if instance.status == CRITICAL and not self._critical.covers(instance):
                self._critical.add([Check(instance.node, "", CRITICAL, service, instance.id, _READ)])
                outdated |= self._critical.index >= index
        if outdated:
            self._on_change({service})

    async def _watch_names(self) -> None:
        async for _names, index_changed in self._reach.watch(
            functools.partial(self._registry.watch_services, wait=self._wait)
        ):
            if index_changed:
                self._on_change(EVERY)
            await self._uncovered.wait()

    async def _keep_reporting(self) -> None:
        """What all watches missed, whyever, is found by a sweep."""
        while True:
            await asyncio.sleep(self._pause)
            self._on_change(EVERY)

    async def _watch_nodes(self) -> None:
        async for names, _index_changed in self._reach.watch(functools.partial(self._registry.nodes, wait=self._wait)):
            self._nodes = frozenset(names)
            self._large &= self._nodes
            for node in self._watched.keys() - self._nodes:
                # Its own watch would not return before its wait is over.
                self._take(node, {}, 0)
            unwatched = sorted(self._nodes - self._watched.keys() - self._large)
            for node in unwatched[: self._max_nodes - len(self._watched)]:
                self._watched[node] = _Node()
                self._tasks.keep(f"the watch of node {node}", functools.partial(self._watch_node, node))
            self._cover()

    def _cover(self) -> None:
        """The names need not be watched where each node is: its first answer tells what came before it."""
        if self._nodes and self._nodes <= self._watched.keys():
            self._uncovered.clear()
        else:
            self._uncovered.set()

    async def _watch_node(self, node: str) -> None:
        async for (entries, index), _index_changed in self._reach.watch(functools.partial(self._ask_node, node)):
            if entries is None:
                self._large.add(node)
                break
            self._take(node, entries, index)
            if node not in self._nodes:
                break
        del self._watched[node]
        self._cover()

    def _take(self, node: str, entries: Mapping[str, tuple[int, ...]], index: int) -> None:
        before = self._watched[node].entries
        changed = {service for service, _indexes in before.items() ^ entries.items()}
        self._watched[node] = _Node(index, dict(entries))
        if changed:
            self._on_change(changed if len(changed) <= _MANY else EVERY)

    async def _ask_node(self, node: str, *, index: int) -> tuple[tuple[Mapping[str, tuple[int, ...]] | None, int], int]:
        try:
            entries, next_index = await self._registry.node(node, index=index, wait=self._wait, max_bytes=_MAX_NODE)
        except EndlessAnswer:
            return (None, index), index
        return (entries, next_index), next_index

    async def _watch_critical(self) -> None:
        async for (checks, index), _index_changed in self._reach.watch(self._ask_critical):
            before, self._critical = self._critical, _Critical(index)
            self._critical.add(checks)
            names = {check.service for check in before.checks ^ self._critical.checks}
            # A check without a service is its node's, and concerns all that is there.
            if "" in names:
                self._on_change(EVERY)
            elif names:
                self._on_change(names)

    async def _ask_critical(self, *, index: int) -> tuple[tuple[list[Check], int], int]:
        checks, next_index = await self._registry.health_state(CRITICAL, index=index, wait=self._wait)
        return (checks, next_index), next_index

"""Counts of the users of a service, by all proxies that share a registry.

    jenkins-proxy/counts/<service>    {"id", "proxies", "complete"}: every proxy counts while this is there; which ones
                                      began, and whether these were all that lived
    jenkins-proxy/proxies/<name>      has the proxy's own counts under "counts"

Whoever asks gets the sum. A proxy publishes what it counts once a second at the most, and at once when a count begins
or ends: the caller waits a moment for those proxies that have not done so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.models import NotCountedError
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.route_store import PROXIES, to_json
from jenkins_proxy.proxy.telemetry.user_counter import UserCounter
from jenkins_proxy.proxy.telemetry.user_counts import Counts, PublishedCount, total
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.retry import Deadline

COUNTS = "jenkins-proxy/counts/"
_KEPT = 5
"""Counts that have ended and are published yet, for a caller whose answer was lost and who asks again."""

AllPublished = Mapping[str, Mapping[str, PublishedCount]]
"""What the live proxies publish: by the proxy's name, by the count's ID."""


class Counting:
    """Begins, sums and ends counts, and takes part in those that other proxies began.

    :param heartbeat: publishes what this proxy counts.
    :param name: this proxy's name among several.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        counter: UserCounter,
        heartbeat: Heartbeat,
        *,
        events: EventBus,
        reachability: Reachability,
        name: str,
        timing: Timing = DEFAULT,
    ) -> None:
        self._registry = registry
        self._counter = counter
        self._heartbeat = heartbeat
        self._events = events
        self._reachability = reachability
        self._name = name
        self._timing = timing
        self._running: dict[str, str] = {}
        self._late: set[str] = set()
        self._ended: dict[str, PublishedCount] = {}
        self._lock = asyncio.Lock()

    async def start(self, service: str, identity: str) -> None:
        """Count a service from now on, in all proxies. Another count of it, which its caller left, ends.

        :param identity: of the count; with the one that is running nothing changes.
        :raises RegistryError: the registry does not answer. ProxyError: HAProxy does not.
        """
        stored = await self._stored(service)
        if stored.get("id") != identity:
            await self._store(service, {"id": identity, "proxies": [], "complete": False})
        await self._begin(service, identity)
        if not stored.get("complete") or stored.get("id") != identity:
            published = await self._wait(lambda counts: identity in counts)
            begun = sorted(name for name, counts in published.items() if identity in counts)
            complete = len(begun) == len(published)
            await self._store(service, {"id": identity, "proxies": begun, "complete": complete})

    async def counts(self, service: str) -> Counts:
        """What all proxies have counted so far.

        :raises NotCountedError: the service is not counted. RegistryError: the registry does not answer.
        """
        identity = (await self._stored(service)).get("id")
        if not identity:
            raise _not_counted(service)
        pairs, _ = await self._registry.kv_watch(PROXIES)
        # Its own are newer than what it has published.
        return _sum({**_parse(pairs), self._name: self._own()}, identity)

    async def stop(self, service: str, identity: str) -> Counts:
        """End a count, in all proxies. One that has ended gets the same answer again, for a while.

        :raises NotCountedError: there was no such count. RegistryError: the registry does not answer.
        """
        stored = await self._stored(service)
        own = stored.get("id") == identity
        if own:
            await self._registry.kv_delete(COUNTS + service)
        await self._end(service, identity)
        published = await self._wait(lambda counts: identity not in counts or counts[identity].ended)
        ended = {name for name, counts in published.items() if identity in counts and counts[identity].ended}
        if not ended:
            raise _not_counted(service)
        counts = _sum(published, identity)
        if not own:
            return counts
        if not (stored["complete"] and ended.issuperset(stored["proxies"])):
            counts += Counts(exact=False)
        self._events.publish("users-counted", service, detail=str(counts))
        return counts

    async def run(self) -> None:
        """Take part in every count, and publish, until cancelled."""
        await asyncio.gather(self._follow(), self._publish())

    async def _follow(self) -> None:
        query = functools.partial(self._registry.kv_watch, COUNTS, wait=self._timing.blocking_query)
        # What ran before this proxy did, it can only count from now on.
        late = True
        async for pairs, changed in self._reachability.watch(query):
            if changed:
                wanted = {pair.key.removeprefix(COUNTS): _object(pair).get("id", "") for pair in pairs}
                for service, identity in dict(self._running).items():
                    if wanted.get(service) != identity:
                        await self._end(service, identity)
                for service, identity in wanted.items():
                    # It is not published then, and whoever began the count sees that.
                    with contextlib.suppress(ProxyError):
                        await self._begin(service, identity, late=late)
            late = False

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._timing.count_publish)
            if self._running:
                self._update()

    async def _begin(self, service: str, identity: str, *, late: bool = False) -> None:
        """Count here.

        :param late: requests from before may be missing.
        """
        async with self._lock:
            if not identity or self._running.get(service) == identity or identity in self._ended:
                return
            if service in self._running:
                await self._finish(service)
            await self._counter.start(service)
            self._running[service] = identity
            if late:
                self._late.add(service)
            self._update()

    async def _end(self, service: str, identity: str) -> None:
        async with self._lock:
            if self._running.get(service) == identity:
                await self._finish(service)
                self._update()

    async def _finish(self, service: str) -> None:
        counts = self._marked(service, await self._counter.stop(service))
        self._ended[self._running.pop(service)] = PublishedCount(counts, ended=True)
        self._late.discard(service)
        for identity in list(self._ended)[:-_KEPT]:
            del self._ended[identity]

    def _marked(self, service: str, counts: Counts) -> Counts:
        return counts + Counts(exact=service not in self._late)

    def _own(self) -> Mapping[str, PublishedCount]:
        """What this proxy has counted, by the count's ID."""
        own = dict(self._ended)
        for service, identity in self._running.items():
            counts = self._counter.counts(service)
            if counts:
                own[identity] = PublishedCount(self._marked(service, counts), ended=False)
        return own

    def _update(self) -> None:
        self._heartbeat.update_counts({identity: count.as_dict() for identity, count in self._own().items()})

    async def _wait(self, is_done: Callable[[Mapping[str, PublishedCount]], bool]) -> AllPublished:
        """What the live proxies publish, once it is so for each of them, or has not become so in time."""
        deadline = Deadline(self._timing.count_proxies)
        index = 0
        while True:
            pairs, index = await self._registry.kv_watch(PROXIES, index=index, wait=deadline.remaining)
            published = _parse(pairs)
            if deadline.expired or all(map(is_done, published.values())):
                return published

    async def _stored(self, service: str) -> Mapping[str, Any]:
        pair = await self._registry.kv_get(COUNTS + service)
        return _object(pair) if pair else {}

    async def _store(self, service: str, value: Mapping[str, Any]) -> None:
        await self._registry.kv_put(COUNTS + service, to_json(value))


def _sum(published: AllPublished, identity: str) -> Counts:
    return total(counts[identity].counts for counts in published.values() if identity in counts)


def _parse(pairs: Iterable[KvPair]) -> AllPublished:
    """What is no count of ours is none: another version of a proxy may have written it."""
    published: dict[str, dict[str, PublishedCount]] = {}
    for pair in pairs:
        if not pair.session:
            continue
        own = published[pair.key.removeprefix(PROXIES)] = {}
        counts = _object(pair).get("counts")
        for identity, data in counts.items() if isinstance(counts, dict) else ():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                own[identity] = PublishedCount.from_dict(data)
    return published


def _object(pair: KvPair) -> dict[str, Any]:
    try:
        data = validation.parse_json(pair.value)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _not_counted(service: str) -> NotCountedError:
    return NotCountedError(f"the users of {service} are not counted", "a POST to the same path begins a count")

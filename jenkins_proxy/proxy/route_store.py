"""Routes and drains in the registry's key-value store, where any number of proxies converge on them.

    jenkins-proxy/routes/<service>    the route as JSON; its version is the pair's ModifyIndex
    jenkins-proxy/routes/.removed     when each route was removed, for a day: {"books-ms": 1795819272123}
    jenkins-proxy/routes/.lineage     the store's ID, random, written once: without it, or with another, it lost data
    jenkins-proxy/drains/<service>    {"10.0.0.1:32768": "<instance ID>"}: instances that get no new requests
    jenkins-proxy/proxies/<name>      what one proxy serves; bound to its session, so that it goes with it

Every write is a compare-and-set of what was read just before. A route has a generation beside its fields: when it was
written, in milliseconds since 1970, and more than any of before. Where the store lost its data and is given back what
proxies know, it says which route is the newer one, and whether it was removed since.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import JenkinsProxyError, RegistryError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.route_options.table import check_route

ROUTES = "jenkins-proxy/routes/"
DRAINS = "jenkins-proxy/drains/"
PROXIES = "jenkins-proxy/proxies/"
STORE_ID = ".lineage"
"""The key below ``ROUTES`` that identifies the store. No service has a name that begins with a dot."""

REMOVED = ".removed"
"""The key below ``ROUTES`` that tells which routes were removed."""

_ATTEMPTS = 20
_DAY = 86_400_000
_LATEST = 10**15  # the year 33658
_GENERATION = "generation"


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """A route and its version.

    :ivar generation: when it was written, in milliseconds since 1970; 0 where that is not known.
    """

    route: Route
    version: int
    generation: int = field(default=0, compare=False)


@dataclass(frozen=True)
class StoredRoutes:
    """All routes.

    :ivar index: of the store when they were read.
    :ivar store_id: distinguishes this store from one that lost its data; empty in one that has none yet.
    :ivar bad: what is wrong with entries that are no routes, by service.
    :ivar removed: when routes were removed, in milliseconds since 1970, by service.
    """

    routes: Mapping[str, StoredRoute] = field(default_factory=dict)
    index: int = 0
    bad: Mapping[str, str] = field(default_factory=dict)
    store_id: str = ""
    removed: Mapping[str, int] = field(default_factory=dict)


Drains = Mapping[str, Mapping[Address, str]]
"""The IDs of the drained instances by address, by service."""


class RouteStore:
    """The key-value store. Every method raises RegistryError when the registry does not answer.

    :param clock: seconds since 1970.
    """

    def __init__(self, registry: AsyncConsul, clock: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._clock = clock

    async def routes(self, *, index: int = 0, wait: float = 0.0) -> tuple[StoredRoutes, int]:
        """All routes; with ``index`` after the next change or ``wait`` seconds. And the index to ask with next."""
        pairs, index = await self._registry.kv_watch(ROUTES, index=index, wait=wait)
        return parse_routes(pairs, index), index

    async def drains(self, *, index: int = 0, wait: float = 0.0) -> tuple[Drains, int]:
        """All drains, as :meth:`routes`."""
        pairs, index = await self._registry.kv_watch(DRAINS, index=index, wait=wait)
        return {pair.key[len(DRAINS) :]: parse_drains(pair.value) for pair in pairs}, index

    async def put_store_id(self) -> None:
        """Give the store an ID, unless it has one."""
        await self._registry.kv_put(ROUTES + STORE_ID, secrets.token_hex(8).encode(), cas=0)

    async def put_route(self, route: Route, *, generation: int = 0) -> StoredRoute:
        """Write a route, unless it is there already.

        :param generation: of one that is given back to a store that lost it: a newer one stays; 0 for a new one.
        :return: what is stored then, which may be the newer one.
        """
        removed = await self._registry.kv_get(ROUTES + REMOVED)
        least = max(self._now(), (parse_removed(removed.value) if removed else {}).get(route.service, 0) + 1)

        def changed(pair: KvPair | None) -> bytes:
            before, sooner = _split(pair.value) if pair else ({}, 0)
            if pair and (to_json(before) == to_json(route.as_dict()) or generation and sooner >= generation):
                return pair.value
            return to_json({**route.as_dict(), _GENERATION: generation or max(least, sooner + 1)})

        pair = await self._change(ROUTES + route.service, changed)
        known = parse_routes([pair], 0).routes.get(route.service) if pair else None
        return known or StoredRoute(route, 0)

    async def remove_route(self, service: str) -> tuple[int, int] | None:
        """Take a route away, with its drains.

        :return: the version that it had, and the index of the store from which on it is gone; None where it was not.
        """
        version = await self._delete_route(service)
        await self._registry.kv_delete(DRAINS + service)
        if not version:
            return None
        # The answer to a deletion does not have its index, but that of keys which begin so counts it.
        _, index = await self._registry.kv_watch(ROUTES + service)
        return version, index

    async def _delete_route(self, service: str) -> int:
        for _ in range(_ATTEMPTS):
            pair = await self._registry.kv_get(ROUTES + service)
            if pair is None:
                return 0
            await self.put_removed({service: max(self._now(), _split(pair.value)[1])})
            if await self._registry.kv_delete(ROUTES + service, cas=pair.modify_index):
                return pair.modify_index
        raise _contended(ROUTES + service)

    async def put_removed(self, removed: Mapping[str, int]) -> None:
        """Say which routes were removed, beside those that the store knows; for a day.

        :param removed: when, in milliseconds since 1970, by service.
        """
        since = self._now() - _DAY

        def changed(pair: KvPair | None) -> bytes | None:
            known = dict(parse_removed(pair.value)) if pair else {}
            for service, when in removed.items():
                known[service] = max(when, known.get(service, 0))
            kept = {service: when for service, when in known.items() if when > since}
            return to_json(kept) if kept or pair else None

        await self._change(ROUTES + REMOVED, changed)

    async def take_away(self, service: str, version: int) -> bool:
        """Take a route away, if it is this version still. :return: whether it was."""
        pair = await self._registry.kv_get(ROUTES + service)
        if pair is None or pair.modify_index != version:
            return False
        return await self._registry.kv_delete(ROUTES + service, cas=version)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    async def change_drains(
        self, service: str, *, add: Mapping[Address, str] | None = None, remove: Iterable[Address] = ()
    ) -> tuple[Mapping[Address, str], int]:
        """Mark instances as drained, or no longer.

        :param add: instance IDs by address.
        :return: the service's drains, and the index of the store at which they are so.
        """
        gone = frozenset(remove)

        def changed(pair: KvPair | None) -> bytes | None:
            drained_ids = {**(parse_drains(pair.value) if pair else {}), **(add or {})}
            kept = {str(address): own for address, own in drained_ids.items() if address not in gone}
            return to_json(kept) if kept or pair else None

        pair = await self._change(DRAINS + service, changed)
        return (parse_drains(pair.value), pair.modify_index) if pair else ({}, 0)

    async def publish(self, name: str, session: str, state: Mapping[str, Any]) -> bool:
        """Say what this proxy serves. :return: False when the session is gone."""
        return await self._registry.kv_put(PROXIES + name, to_json(state), acquire=session)

    async def session_of(self, name: str) -> str:
        """The session that holds a proxy's key; empty where none does."""
        pair = await self._registry.kv_get(PROXIES + name)
        return pair.session if pair else ""

    async def _change(self, key: str, changed: Callable[[KvPair | None], bytes | None]) -> KvPair | None:
        for _ in range(_ATTEMPTS):
            pair = await self._registry.kv_get(key)
            value = changed(pair)
            if value is None or (pair and pair.value == value):
                return pair
            await self._registry.kv_put(key, value, cas=pair.modify_index if pair else 0)
            # Read again: the answer to a write does not have the new index, and another writer may have been first.
        raise _contended(key)


def _contended(key: str) -> RegistryError:
    return RegistryError(f"{key} was changed by others {_ATTEMPTS} times in a row", "try again")


def parse_routes(pairs: Iterable[KvPair], index: int) -> StoredRoutes:
    """Routes from their pairs. What is no route is reported, and does not keep the others from serving."""
    routes: dict[str, StoredRoute] = {}
    bad: dict[str, str] = {}
    store_id = ""
    removed: Mapping[str, int] = {}
    for pair in pairs:
        service = pair.key[len(ROUTES) :]
        if service == STORE_ID:
            store_id = pair.value.decode(errors="replace")
            continue
        if service == REMOVED:
            removed = parse_removed(pair.value)
            continue
        try:
            data = validation.parse_json(pair.value)
            if not isinstance(data, dict):
                raise ValueError("its value is not a JSON object")
            route = Route.from_dict(data)
            check_route(route)
            if route.service != service:
                raise ValueError(f"it is a route of {route.service}")
            routes[service] = StoredRoute(route, pair.modify_index, _split(pair.value)[1])
        except (JenkinsProxyError, ValueError, TypeError, AttributeError) as error:
            bad[service] = f"{pair.key} holds no route: {error}"
    return StoredRoutes(routes, index, bad, store_id, removed)


def _split(value: bytes) -> tuple[dict[str, Any], int]:
    """The fields of a route, and its generation; of what is no route none, and 0."""
    try:
        data = validation.parse_json(value)
    except ValueError:
        return {}, 0
    if not isinstance(data, dict):
        return {}, 0
    generation = data.pop(_GENERATION, 0)
    return data, generation if _is_moment(generation) else 0


def parse_removed(value: bytes) -> Mapping[str, int]:
    """When routes were removed, by service; none when it is no such value."""
    try:
        data = validation.parse_json(value)
    except ValueError:
        return {}
    return {name: when for name, when in data.items() if _is_moment(when)} if isinstance(data, dict) else {}


def _is_moment(value: Any) -> bool:
    """Whether it may be milliseconds since 1970: what is written next is one more."""
    return type(value) is int and 0 < value < _LATEST


def with_generation(stored: StoredRoute) -> dict[str, Any]:
    """A route's fields and its generation, as in the store."""
    return {**stored.route.as_dict(), **({_GENERATION: stored.generation} if stored.generation else {})}


def parse_drains(value: bytes) -> dict[Address, str]:
    """The IDs of drained instances from the value of their pair; none when it is no such value."""
    try:
        drained_ids = validation.parse_json(value)
        return {validation.parse_address(address): str(own) for address, own in drained_ids.items()}
    except (JenkinsProxyError, ValueError, AttributeError):
        return {}


def to_json(data: Any) -> bytes:
    """As a value of the store: the same data are the same bytes."""
    return json.dumps(data, sort_keys=True).encode()

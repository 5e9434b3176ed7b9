"""Routes and drains in the registry's key-value store, where any number of proxies converge on them.

    jenkins-proxy/routes/<service>    the route as JSON; its version is the pair's ModifyIndex
    jenkins-proxy/routes/.lineage     a random word, written once: a store without it, or with another, lost its data
    jenkins-proxy/drains/<service>    {"10.0.0.1:32768": "<instance ID>"}: instances that get no new requests
    jenkins-proxy/proxies/<name>      what one proxy serves; bound to its session, so that it goes with it

Every write is a compare-and-set of what was read just before. A copy on disk lets a proxy start without the registry.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import JenkinsProxyError, RegistryError
from jenkins_proxy.model import Address, Route

ROUTES = "jenkins-proxy/routes/"
DRAINS = "jenkins-proxy/drains/"
PROXIES = "jenkins-proxy/proxies/"
# No service has a name that begins with a dot.
_STORE_ID = ".lineage"
_ATTEMPTS = 20


@dataclass(frozen=True)
class StoredRoute:
    """A route and its version."""

    route: Route
    version: int


@dataclass(frozen=True)
class StoredRoutes:
    """All routes.

    :ivar index: of the store when they were read.
    :ivar store_id: tells this store from one that began anew; empty in one that nobody has marked yet.
    :ivar bad: what is wrong with entries that are no routes, by service.
    """

    routes: Mapping[str, StoredRoute] = field(default_factory=dict)
    index: int = 0
    bad: Mapping[str, str] = field(default_factory=dict)
    store_id: str = ""


Drains = Mapping[str, Mapping[Address, str]]
"""The IDs of the drained instances by address, by service."""


class RouteStore:
    """The key-value store. Every method raises RegistryError when the registry does not answer."""

    def __init__(self, registry: AsyncConsul) -> None:
        self._registry = registry

    async def routes(self, *, index: int = 0, wait: float = 0.0) -> tuple[StoredRoutes, int]:
        """All routes; with ``index`` after the next change or ``wait`` seconds. And the index to ask with next."""
        pairs, index = await self._registry.kv_watch(ROUTES, index=index, wait=wait)
        return parse_routes(pairs, index), index

    async def drains(self, *, index: int = 0, wait: float = 0.0) -> tuple[Drains, int]:
        """All drains, as :meth:`routes`."""
        pairs, index = await self._registry.kv_watch(DRAINS, index=index, wait=wait)
        return {pair.key[len(DRAINS) :]: parse_drains(pair.value) for pair in pairs}, index

    async def mark_store_id(self) -> None:
        """Mark the store, unless it is marked."""
        await self._registry.kv_put(ROUTES + _STORE_ID, secrets.token_hex(8).encode(), cas=0)

    async def put_route(self, route: Route) -> int:
        """Write a route, unless it is there already.

        :return: its version.
        """
        value = _json(route.as_dict())
        return (await self._change(ROUTES + route.service, lambda _pair: value)).modify_index

    async def remove_route(self, service: str) -> bool:
        """Take a route away, with its drains. :return: whether there was one."""
        existed = await self._registry.kv_get(ROUTES + service) is not None
        await self._registry.kv_delete(ROUTES + service)
        await self._registry.kv_delete(DRAINS + service)
        return existed

    async def change_drains(
        self, service: str, *, add: Mapping[Address, str] | None = None, remove: Iterable[Address] = ()
    ) -> Mapping[Address, str]:
        """Mark instances as drained, or take marks away.

        :param add: instance IDs by address.
        :return: the service's drains.
        """
        gone = frozenset(remove)

        def changed(pair: KvPair | None) -> bytes | None:
            drained_ids = {**(parse_drains(pair.value) if pair else {}), **(add or {})}
            kept = {str(address): mark for address, mark in drained_ids.items() if address not in gone}
            return _json(kept) if kept or pair else None

        pair = await self._change(DRAINS + service, changed)
        return parse_drains(pair.value) if pair else {}

    async def publish(self, name: str, session: str, state: Mapping[str, Any]) -> bool:
        """Say what this proxy serves. :return: False when the session is gone."""
        return await self._registry.kv_put(PROXIES + name, _json(state), acquire=session)

    async def _change(self, key: str, changed: Callable[[KvPair | None], bytes | None]) -> KvPair | None:
        for _ in range(_ATTEMPTS):
            pair = await self._registry.kv_get(key)
            value = changed(pair)
            if value is None or (pair and pair.value == value):
                return pair
            await self._registry.kv_put(key, value, cas=pair.modify_index if pair else 0)
            # Read again: the answer to a write does not tell the new index, and another writer may have been first.
        raise RegistryError(f"{key} was changed by others {_ATTEMPTS} times in a row", "try again")


def parse_routes(pairs: Iterable[KvPair], index: int) -> StoredRoutes:
    """Routes from their pairs. What is no route is told, and does not keep the others from serving."""
    routes: dict[str, StoredRoute] = {}
    bad: dict[str, str] = {}
    store_id = ""
    for pair in pairs:
        service = pair.key[len(ROUTES) :]
        if service == _STORE_ID:
            store_id = pair.value.decode(errors="replace")
            continue
        try:
            data = json.loads(pair.value)
            if not isinstance(data, dict):
                raise ValueError("its value is not a JSON object")
            route = Route.from_dict(data)
            validation.check_route(route)
            if route.service != service:
                raise ValueError(f"it is a route of {route.service}")
            routes[service] = StoredRoute(route, pair.modify_index)
        except (JenkinsProxyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            bad[service] = f"{pair.key} holds no route: {error}"
    return StoredRoutes(routes, index, bad, store_id)


def parse_drains(value: bytes) -> dict[Address, str]:
    """Marks from the value of their pair; those that are none are left out."""
    try:
        drained_ids = json.loads(value)
        return {validation.parse_address(address): str(mark) for address, mark in drained_ids.items()}
    except (JenkinsProxyError, ValueError, AttributeError, RecursionError):
        return {}


class RouteCache:
    """The routes and drains on disk.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def read(self) -> tuple[StoredRoutes, Drains]:
        """What was saved last; nothing when there is no file, or none that can be read."""
        try:
            data = json.loads(self._path.read_bytes())
            pairs = [KvPair(ROUTES + name, _json(route), version) for name, (route, version) in data["routes"].items()]
            pairs.append(KvPair(ROUTES + _STORE_ID, data["lineage"].encode(), 0))
            drains = {name: parse_drains(_json(drained_ids)) for name, drained_ids in data["drains"].items()}
            return parse_routes(pairs, 0), drains
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return StoredRoutes(), {}

    async def save(self, stored: Mapping[str, StoredRoute], drains: Drains, store_id: str) -> None:
        """Save them, whole or not at all.

        :raises OSError: when they cannot be written.
        """
        data = _json(
            {
                "lineage": store_id,
                "routes": {name: [one.route.as_dict(), one.version] for name, one in stored.items()},
                "drains": {
                    name: {str(address): mark for address, mark in drained_ids.items()}
                    for name, drained_ids in drains.items()
                },
            }
        )
        if data != self._written:
            await asyncio.to_thread(self._replace, data)
            self._written = data

    def _replace(self, data: bytes) -> None:
        between = self._path.with_suffix(".part")
        descriptor = os.open(between, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(between, self._path)


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True).encode()

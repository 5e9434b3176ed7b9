"""Holds in the registry's key-value store, where every proxy follows them.

    jenkins-proxy/holds/<service>     the hold as JSON; its version is the pair's ModifyIndex
    jenkins-proxy/holds/.lineage      the store's ID, as beside the routes: without it, or with another, it lost data
    jenkins-proxy/proxies/<name>      what one proxy serves, up to which index; it goes with the proxy's session

Every write is a compare-and-set of what was read just before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.holds import Hold, Holds, parse_hold, parse_holds
from jenkins_proxy.proxy.route_store import PROXIES, STORE_ID, to_json

HOLDS = "jenkins-proxy/holds/"

_ATTEMPTS = 20

Change = Callable[[Hold | None], Hold | None]
"""From the hold that is stored to the one that shall be; None ends it."""


class HoldStore:
    """Every method raises RegistryError when the registry does not answer."""

    def __init__(self, registry: AsyncConsul) -> None:
        self._registry = registry

    async def holds(self, *, index: int = 0, wait: float = 0.0) -> tuple[Holds, int]:
        """All holds; with ``index`` after the next change or ``wait`` seconds. And the index to ask with next."""
        pairs, index = await self._registry.kv_watch(HOLDS, index=index, wait=wait)
        return parse_holds(pairs, HOLDS, STORE_ID, index), index

    async def put_store_id(self) -> None:
        """Give the store an ID, unless it has one."""
        await self._registry.kv_put(HOLDS + STORE_ID, secrets.token_hex(8).encode(), cas=0)

    async def change(self, service: str, change: Change) -> Hold | None:
        """Change the hold of a service.

        :return: the hold that is stored then, with its version; None when there is none.
        """
        key = HOLDS + service
        for _ in range(_ATTEMPTS):
            pair = await self._registry.kv_get(key)
            version = pair.modify_index if pair else 0
            # What is no hold counts as none, and is written over.
            before = parse_hold(service, pair.value, version) if pair else None
            after = change(before)
            if after == before:
                return before
            if after is None:
                if await self._registry.kv_delete(key, cas=version):
                    return None
            else:
                await self._registry.kv_put(key, to_json(after.as_dict()), cas=version)
            # Read again: the answer to a write does not have the new index, and another writer may have been first.
        raise RegistryError(f"{key} was changed by others {_ATTEMPTS} times in a row", "try again")

    async def restore(self, hold: Hold) -> Hold | None:
        """Write a hold to a store that lost it. :return: the one that is stored then, which may be another's."""
        return await self.change(hold.service, lambda stored: stored or hold)

    async def proxies(self, *, index: int = 0, wait: float = 0.0) -> tuple[Mapping[str, bytes], int]:
        """The document of each live proxy, by its name; as :meth:`holds`. Nobody lives behind one without a session."""
        pairs, index = await self._registry.kv_watch(PROXIES, index=index, wait=wait)
        return {pair.key[len(PROXIES) :]: pair.value for pair in pairs if pair.session}, index

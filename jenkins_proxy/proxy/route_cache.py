"""A copy of the routes and drains on disk, which lets a proxy start without the registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.route_store import (
    ROUTES,
    STORE_ID,
    Drains,
    StoredRoute,
    StoredRoutes,
    parse_drains,
    parse_routes,
    to_json,
)


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
            pairs = [
                KvPair(ROUTES + name, to_json(route), version) for name, (route, version) in data["routes"].items()
            ]
            pairs.append(KvPair(ROUTES + STORE_ID, data["lineage"].encode(), 0))
            drains = {name: parse_drains(to_json(drained_ids)) for name, drained_ids in data["drains"].items()}
            return parse_routes(pairs, 0), drains
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return StoredRoutes(), {}

    async def save(self, stored: Mapping[str, StoredRoute], drains: Drains, store_id: str) -> None:
        """Save them, whole or not at all.

        :raises OSError: when they cannot be written.
        """
        data = to_json(
            {
                "lineage": store_id,
                "routes": {name: [own.route.as_dict(), own.version] for name, own in stored.items()},
                "drains": {
                    name: {str(address): own for address, own in drained_ids.items()}
                    for name, drained_ids in drains.items()
                },
            }
        )
        if data != self._written:
            await asyncio.to_thread(atomic_write, self._path, data, mode=0o600, fsync=True)
            self._written = data

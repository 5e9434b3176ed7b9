"""A copy of the routes, drains and holds on disk, which lets a proxy start without the registry."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.hold_store import HOLDS
from jenkins_proxy.proxy.holds import Holds, parse_holds
from jenkins_proxy.proxy.route_store import (
    REMOVED,
    ROUTES,
    STORE_ID,
    Drains,
    StoredRoute,
    StoredRoutes,
    parse_drains,
    parse_routes,
    to_json,
    with_generation,
)

_LOG = logging.getLogger(__name__)


class RouteCache:
    """The routes, drains and holds on disk.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = ""

    def read(self) -> tuple[StoredRoutes, Drains, Holds]:
        """What was saved last; nothing when there is no file, and with a warning when it cannot be read."""
        try:
            data = validation.parse_json(self._path.read_bytes())
            removed = KvPair(ROUTES + REMOVED, to_json(data.get("removed", {})), 0)
            routes = parse_routes([*_pairs(ROUTES, data["routes"], data["lineage"]), removed], 0)
            for problem in routes.bad.values():
                _LOG.warning("%s: %s: it is left out until the registry answers", self._path, problem)
            drains = {name: parse_drains(to_json(drained_ids)) for name, drained_ids in data["drains"].items()}
            # A file of before there were holds has none.
            holds = parse_holds(_pairs(HOLDS, data.get("holds", {}), data.get("holds_lineage", "")), HOLDS, STORE_ID, 0)
            return routes, drains, holds
        except FileNotFoundError:
            return StoredRoutes(), {}, Holds()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _LOG.warning(
                "%s is not used, as it is damaged (%r): until the registry answers, no route serves", self._path, error
            )
            return StoredRoutes(), {}, Holds()

    async def save(
        self,
        stored: Mapping[str, StoredRoute],
        drains: Drains,
        store_id: str,
        holds: Holds,
        removed: Mapping[str, int] | None = None,
    ) -> None:
        """Save them, whole or not at all.

        :param removed: when routes were removed, by service.

        :raises OSError: when they cannot be written.
        """
        # Each by itself, and its digest kept: what thousands of routes are as dictionaries is much for a moment's use.
        routes = (to_json({name: [with_generation(own), own.version]})[1:-1] for name, own in sorted(stored.items()))
        rest = to_json(
            {
                "lineage": store_id,
                "removed": dict(removed or {}),
                "drains": {
                    name: {str(address): own for address, own in drained_ids.items()}
                    for name, drained_ids in drains.items()
                },
                "holds_lineage": holds.store_id,
                "holds": {name: [own.as_dict(), own.version] for name, own in holds.holds.items()},
            }
        )
        data = b'{"routes": {' + b", ".join(routes) + b"}, " + rest[1:]
        digest = hashlib.sha256(data).hexdigest()
        if digest != self._written:
            await asyncio.to_thread(atomic_write, self._path, data, mode=0o600, fsync=True)
            self._written = digest


def _pairs(prefix: str, values: Mapping[str, Sequence[Any]], store_id: str) -> list[KvPair]:
    """Saved values as the pairs that they were, with the store's ID."""
    pairs = [KvPair(prefix + name, to_json(value), _version(version)) for name, (value, version) in values.items()]
    return [*pairs, KvPair(prefix + STORE_ID, store_id.encode(), 0)]


def _version(value: Any) -> int:
    """A version; what is none is older than whatever the registry reports."""
    return value if type(value) is int and 0 < value < 2**63 else 0

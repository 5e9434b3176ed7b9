"""What this proxy knows of routes, and what the store reports, made one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes


@dataclass(frozen=True)
class Merged:
    """What is so then.

    :ivar routes: that serve, by service.
    :ivar missing: those that the store lacks, or has an older one of.
    :ivar removed: when routes were removed, in milliseconds since 1970, by service.
    :ivar returned: the versions of routes in the store that were removed before, and that somebody brought back who did
        not know.
    """

    routes: Mapping[str, StoredRoute]
    missing: list[StoredRoute]
    removed: dict[str, int]
    returned: dict[str, int]


def merge(known: StoredRoutes, reported: StoredRoutes, gone: Mapping[str, int], *, lost: bool) -> Merged:
    """Merge what is known with what the store reports.

    A report may be older than what was put or removed here a moment ago. Of a store that lost its data the versions
    count anew: there the generation says which of two routes is newer.

    :param gone: the versions of routes that were removed here: none of them counts, nor an older one.
    :param lost: whether the store lost its data.
    """
    before = known.removed if lost else {}
    removed = {
        name: max(before.get(name, 0), reported.removed.get(name, 0))
        for name in before.keys() | reported.removed.keys()
    }
    routes: dict[str, StoredRoute] = {}
    missing: list[StoredRoute] = []
    returned: dict[str, int] = {}
    for name, told in reported.routes.items():
        own = known.routes.get(name)
        if is_removed(told, removed):
            returned[name] = told.version
        elif told.version > gone.get(name, 0):
            routes[name] = own if own and _is_newer(own, told, lost=lost) else told
            if own and lost and routes[name] is own:
                missing.append(own)
    missing += [
        own
        for name, own in known.routes.items()
        if name not in routes and (lost or own.version > reported.index) and not is_removed(own, removed)
    ]
    routes.update((own.route.service, own) for own in missing)
    # What is the same stays the same object: the backends that run have it, too, and there may be thousands.
    routes = {name: _latest(known.routes.get(name), own) for name, own in routes.items()}
    return Merged(routes, missing, removed, returned)


def _latest(own: StoredRoute | None, told: StoredRoute) -> StoredRoute:
    return own if own and own == told and own.generation == told.generation else told


def is_removed(stored: StoredRoute, removed: Mapping[str, int]) -> bool:
    """Whether it was removed since it was written: one whose generation is not known was not."""
    return 0 < stored.generation <= removed.get(stored.route.service, 0)


def _is_newer(own: StoredRoute, told: StoredRoute, *, lost: bool) -> bool:
    return own.generation > told.generation > 0 if lost else own.version > told.version

"""What is left of other services' routes when a route takes its paths and domains from them. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config import route_keys
from jenkins_proxy.proxy.haproxy.config.route_defaults import NONE, RouteDefaults


def remainders(route: Route, others: Iterable[Route], defaults: RouteDefaults = NONE) -> Mapping[str, Route | None]:
    """The routes of other services without what the route takes; None for one of which nothing is left.

    A path is taken with all of its domains, as a route has each of its paths under each of them.

    :param defaults: of all routes.
    """
    left: dict[str, Route | None] = {}
    taking = defaults.reached(route)
    for other in others:
        reached = defaults.reached(other)
        if other.service != route.service and route_keys.conflict(taking, [reached]):
            free = _without(reached, taking)
            # What it does not say itself is still the default.
            left[other.service] = free and dataclasses.replace(free, domain_algo=other.domain_algo)
    return left


def _without(other: Route, route: Route) -> Route | None:
    """Of a route what does not conflict with another; None when that is nothing."""
    free = dataclasses.replace(other, is_default_backend=other.is_default_backend and not route.is_default_backend)
    kept = tuple(domain for domain in other.redirect_from_domain if not _conflicts(_redirect(other, domain), route))
    free = dataclasses.replace(free, redirect_from_domain=kept)
    matching = dataclasses.replace(free, redirect_from_domain=(), is_default_backend=False)
    if other.paths:
        paths = tuple(p for p in other.paths if not _conflicts(dataclasses.replace(matching, paths=(p,)), route))
        return dataclasses.replace(free, paths=paths) if paths else None
    domains = tuple(d for d in other.domains if not _conflicts(dataclasses.replace(matching, domains=(d,)), route))
    return dataclasses.replace(free, domains=domains) if domains or free.is_default_backend else None


def _redirect(other: Route, domain: str) -> Route:
    return Route(other.service, redirect_from_domain=(domain,))


def _conflicts(part: Route, route: Route) -> bool:
    return route_keys.conflict(route, [part]) is not None

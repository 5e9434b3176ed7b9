"""What an instance of a route has to answer before users are sent to it. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from jenkins_proxy import regular_expressions
from jenkins_proxy.model import Route

_LOGIN = (401, 403)


@dataclass(frozen=True)
class RouteCheck:
    """A request, and the answers that say that an instance is ready.

    :ivar method: empty where it is enough that a connection is taken and kept.
    :ivar target: what is requested, as the instance sees it: after the route has rewritten the path.
    :ivar host: for the Host header; empty means the address that is asked.
    :ivar accepts: whether a status is such an answer.
    :ivar lasting: whether HAProxy asks the same from then on, and takes out who does not answer it.
    """

    method: str
    target: str
    host: str
    accepts: Callable[[int], bool]
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.target}" if self.method else "a connection"


def _good(status: int) -> bool:
    # A service may ask for a login or send on: it is there all the same.
    return 200 <= status < 400 or status in _LOGIN


def _no_error(status: int) -> bool:
    return status < 500


def _any(_status: int) -> bool:
    return True


@functools.lru_cache(maxsize=65536)
def route_check(route: Route) -> RouteCheck | None:
    """What an instance of the route has to answer; None with ``skip_check``, and where it speaks HTTP/2 alone, in which
    we do not ask.

    Only a page that somebody named for this purpose takes out an instance that served already. Of the route's first
    path nobody said that it has to answer for ever: one error in it, which all instances share, would take all of them
    out. And where no page is known, any answer at all to ``OPTIONS *``, HTTP's own ping (RFC 9110, section 9.3.7),
    tells an instance from a port on which nobody listens yet.
    """
    if route.skip_check or route.proto:
        return None
    if route.check_tcp or route.tcp:
        return RouteCheck("", "", route.host, _any)
    if route.check_path:
        return RouteCheck("GET", rewritten(route, route.check_path), route.host, _good, lasting=True)
    if route.page:
        return RouteCheck("GET", rewritten(route, route.page), route.host, _no_error)
    return RouteCheck("OPTIONS", "*", route.host, _any)


def rewritten(route: Route, page: str) -> str:
    """A page that users ask for, as an instance is asked for it: what HAProxy's ``regsub`` and ``set-path`` make of it.

    :param page: a path with or without a query, which stays as it is.
    """
    if not route.rewrites:
        return page
    path, mark, query = page.partition("?")
    for search, replace in route.rewrites:
        expression = regular_expressions.compiled(search)
        path = expression.sub(lambda _match, text=replace: text, path, count=1)  # type: ignore[misc]
        path = path if path.startswith("/") else f"/{path}"
    return path + mark + query

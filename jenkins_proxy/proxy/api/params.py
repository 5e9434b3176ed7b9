"""Query parameters that several calls have. Pure."""

from __future__ import annotations

from jenkins_proxy.route_options.query import Query

_WAIT = 30.0
_MAX_WAIT = 300.0
MAX_PROXIES = 300.0
"""How many seconds a call may wait for the other proxies."""


def wait_seconds(query: Query) -> float:
    """``wait``: how many seconds to wait for a service's first instance.

    The default is 30 s: the article calls right after ``up -d``, before Registrator has registered the containers.
    """
    return query.number("wait", _WAIT, _MAX_WAIT)


def proxies_seconds(query: Query) -> float | None:
    """``proxies``: how many seconds to wait until every live proxy serves the change; None where nobody says."""
    return query.number("proxies", 0.0, MAX_PROXIES) if query.text("proxies") else None

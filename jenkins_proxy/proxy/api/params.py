"""Query parameters that several calls have. Pure."""

from __future__ import annotations

from jenkins_proxy.query import Query

_WAIT = 30.0
_MAX_WAIT = 300.0


def wait_seconds(query: Query) -> float:
    """``wait``: how many seconds to wait for a service's first instance.

    The default is 30 s: the article calls right after ``up -d``, before Registrator has registered the containers.
    """
    return query.number("wait", _WAIT, _MAX_WAIT)

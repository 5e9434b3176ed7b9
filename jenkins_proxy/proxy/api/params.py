"""Query parameters that several calls have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jenkins_proxy.errors import UsageError
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.validation import few, meant, shown

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


def refuse_unknown(call: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse parameters that a call does not have: whoever gives one expects that it does something.

    :param call: the request's method and path.
    :param given: the parameters' names. Their values are not shown: one may be a token.
    :raises UsageError: names those that there are.
    """
    unknown = [name for name in dict.fromkeys(given) if name not in known]
    if unknown:
        raise UsageError(
            f"{call} has no query parameter {few(shown(name) + meant(name, known) for name in unknown)}",
            f"known: {', '.join(known)}" if known else "it takes none; a token goes into the header Authorization",
        )

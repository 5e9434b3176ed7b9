"""Who may call the embedded registry.

With a token, whoever calls needs it, but for the question whether the registry lives: keys, services and the outputs of
checks are for those who may. Without one, whoever reaches the port may read and write, as with a Consul without ACLs,
but for a web page in a browser that reaches the port, too. A browser sends ``Origin`` with all that writes; the
registry has no page of its own, and clients of Consul send none. What is read is open to a name that an attacker's DNS
has pointed at us, unless the name is refused: on loopback, where no machine but this one has names for us. Beyond it
clients may call us by any name that their network gives us.

Keys that lead users belong to the proxy: where its API has a token, they are written with
a token alone that may change something there.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web

from jenkins_proxy import hostnames
from jenkins_proxy.consul_server.errors import ConsulError

_KV = "/v1/kv/"
# What tells no more than that the registry lives.
_OPEN = "/v1/status/"


@dataclass(frozen=True)
class Owner:
    """Who writes some keys, and whatever else there is.

    :ivar accepts: whether what a caller presents is the owner's.
    :ivar prefixes: of its keys.
    :ivar alone: whether nobody else may write them.
    :ivar told: is called after each call that writes one of the keys, or tried to: what the caller presented, the
        request, and the status of the answer.
    """

    accepts: Callable[[str], bool]
    prefixes: tuple[str, ...]
    alone: bool = True
    told: Callable[[str, web.Request, int], None] | None = None

    def has(self, request: web.Request) -> bool:
        """Whether a writing call changes one of these keys."""
        if not request.path.startswith(_KV):
            return False
        key = request.path[len(_KV) :]
        # Whoever deletes all below a key deletes what is below these.
        above = "recurse" in request.query and any(prefix.startswith(key) for prefix in self.prefixes)
        return above or key.startswith(self.prefixes)


class Access:
    """Decides over each request.

    :param token: what a call must present; empty asks for none.
    :param host: where the registry listens.
    :param names: domains by which it may be called on loopback without a token.
    :param owner: the keys that one caller alone may write; None where there are none.
    """

    def __init__(self, token: str, host: str, names: Iterable[str] = (), owner: Owner | None = None) -> None:
        self._token = token
        self._owner = owner
        self._loopback = hostnames.is_loopback(host)
        self._names = {name.lower() for name in names}

    def check(self, request: web.Request) -> None:
        """:raises ConsulError: when the request may not go on."""
        writes = request.method != "GET"
        presented = _presented(request)
        if self._owner is not None and self._owner.accepts(presented):
            return
        if writes and self._owner and self._owner.alone and self._owner.has(request):
            raise ConsulError(403, "Permission denied: this key leads users, and is written by the proxy alone")
        if self._token:
            if hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), self._token.encode()):
                return
            if writes or not request.path.startswith(_OPEN):
                raise ConsulError(403, "Permission denied")
        if writes and hdrs.ORIGIN in request.headers:
            raise ConsulError(
                403,
                "Permission denied: this looks like a request that a web page makes; use curl, or give "
                "the registry a token",
            )
        # Not request.host: without the header, as HAProxy's checks come, aiohttp 3.9 makes up this machine's full name.
        name = hostnames.in_header(request.headers.get(hdrs.HOST, ""))
        if self._loopback and hostnames.can_be_rebound(name, self._names):
            raise ConsulError(
                403,
                f"Permission denied: called by the unknown host name {name[:80]!r}; serve's option "
                "--allow-host makes it known",
            )

    def tell(self, request: web.Request, status: int) -> None:
        """Tell the owner of keys that one was written.

        :param status: of the answer.
        """
        if self._owner and self._owner.told and request.method != "GET" and self._owner.has(request):
            self._owner.told(_presented(request), request, status)


def _presented(request: web.Request) -> str:
    bearer = request.headers.get(hdrs.AUTHORIZATION, "")
    given = request.headers.get("X-Consul-Token") or (bearer[7:] if bearer.startswith("Bearer ") else "")
    return given or request.query.get("token", "")

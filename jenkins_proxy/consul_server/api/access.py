"""Who may call the embedded registry.

With a token, whoever writes needs it. Without one, whoever reaches the port may write, as with a Consul without ACLs,
but for a web page in a browser that reaches the port, too. A browser sends ``Origin`` with all that writes; the
registry has no page of its own, and clients of Consul send none. What is read is open to a name that an attacker's DNS
has pointed at us, unless the name is refused: on loopback, where no machine but this one has names for us. Beyond it
clients may call us by any name that their network gives us.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from aiohttp import hdrs, web

from jenkins_proxy import hostnames
from jenkins_proxy.consul_server.errors import ConsulError


class Access:
    """Decides over each request.

    :param token: what a writing call must present; empty asks for none.
    :param host: where the registry listens.
    :param names: domains by which it may be called on loopback without a token.
    """

    def __init__(self, token: str, host: str, names: Iterable[str] = ()) -> None:
        self._token = token
        self._loopback = hostnames.is_loopback(host)
        self._names = {name.lower() for name in names}

    def check(self, request: web.Request) -> None:
        """:raises ConsulError: when the request may not go on."""
        writes = request.method != "GET"
        if self._token:
            if writes and not self._presented(request):
                raise ConsulError(403, "Permission denied")
            return
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

    def _presented(self, request: web.Request) -> bool:
        bearer = request.headers.get(hdrs.AUTHORIZATION, "")
        given = request.headers.get("X-Consul-Token") or (bearer[7:] if bearer.startswith("Bearer ") else "")
        return hmac.compare_digest(
            (given or request.query.get("token", "")).encode("utf-8", "surrogateescape"), self._token.encode()
        )

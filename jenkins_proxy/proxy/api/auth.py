"""Who may do what through the API.

With a token, whatever changes something or shows a secret needs it as ``Authorization: Bearer``, or as the password of
basic authentication, which is how Docker Flow: Swarm Listener's URLs can hold it. Without one, whoever
reaches the port may call, which the daemon allows on loopback only (or with ``--insecure``). Then the attacker is a web
page in a browser that reaches the port, too. It is recognised by headers that a page cannot remove (Origin,
Sec-Fetch-Site, a browser's User-Agent on a GET), and by a Host that an attacker's DNS may have pointed at this machine.

What is only read (routes, events, metrics, the dashboard) is open in both cases and holds no secret; but where the
daemon listens on loopback alone, not to a Host that an attacker's DNS may have pointed there.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from jenkins_proxy import hostnames
from jenkins_proxy.errors import ProxyError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])


class AccessDenied(ProxyError):
    """The caller may not do this. :ivar status: 401 when a token would help, else 403."""

    def __init__(self, message: str, hint: str, status: int = 403) -> None:
        super().__init__(message, hint)
        self.status = status


def guarded(handler: AnyHandler) -> AnyHandler:
    """Mark a handler that changes something or shows a secret."""
    vars(handler)["guarded"] = True
    return handler


def is_guarded(handler: Any) -> bool:
    """Whether a handler is marked."""
    return getattr(handler, "guarded", False) is True


class Authenticator:
    """Decides over each request.

    :param token: what callers must send; empty for none.
    :param names: host names by which callers may reach the daemon without a token, beside addresses, names without a
        dot and this machine's own.
    :param loopback: whether the daemon listens on loopback alone, where no other machine has names for it.
    """

    def __init__(self, token: str, names: Iterable[str] = (), *, loopback: bool = True) -> None:
        self._expected = token.encode()
        self._loopback = loopback
        self._names = {name.lower() for name in names}

    def check(self, request: web.Request, guarded: bool) -> None:
        """Let a request go on.

        :param guarded: whether it is for a guarded handler.
        :raises AccessDenied: when it may not.
        """
        denial = self._denial(request)
        if not self._expected or (denial and self._loopback):
            self._check_name(request)
        if denial and guarded:
            raise denial

    def trusts(self, request: web.Request) -> bool:
        """Whether the caller of a request that may go on may also see secrets."""
        return self._denial(request) is None

    def knows(self, request: web.Request) -> bool:
        """Whether the caller has the token; nobody has where there is none."""
        return bool(self._expected) and self._token_denial(request) is None

    def _denial(self, request: web.Request) -> AccessDenied | None:
        if self._expected:
            return self._token_denial(request)
        if _sent_by_a_page(request):
            return AccessDenied(
                "this looks like a request that a web page makes",
                "use curl or jenkins-proxy, or start the daemon with a token",
            )
        return None

    def _token_denial(self, request: web.Request) -> AccessDenied | None:
        given = request.headers.get("Authorization", "")
        scheme, _, token = given.partition(" ")
        # A scheme's letters are of any case (RFC 9110, section 11.1).
        kind = scheme.lower()
        text = _password(token) if kind == "basic" else token.encode("utf-8", "surrogateescape")
        # A browser sends the first by itself once it knows it, also for a page of another site.
        known = (kind == "basic" and not _sent_by_a_page(request)) or kind == "bearer"
        if hmac.compare_digest(text, self._expected) and known:
            return None
        said = "wrong token" if given else "a token is needed"
        return AccessDenied(said, "send JENKINS_PROXY_TOKEN's value as `Authorization: Bearer`", 401)

    def _check_name(self, request: web.Request) -> None:
        name = hostnames.in_header(request.host)
        if hostnames.can_be_rebound(name, self._names):
            raise AccessDenied(
                f"called by the unknown host name {name[:80]!r}",
                "start the daemon with a token, or with --allow-host for that name",
            )


def middleware(authenticator: Authenticator) -> Middleware:
    """The check before every handler."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        authenticator.check(request, is_guarded(request.match_info.handler))
        return await handler(request)

    return checked


def _password(credentials: str) -> bytes:
    """The password of basic authentication (RFC 7617); empty where there is none."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _host_of(origin: str) -> str:
    """The host and port of an origin; empty for what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _sent_by_a_page(request: web.Request) -> bool:
    """Whether another site's page sent it; for a GET, where a browser on plain http says no more, any browser."""
    origin = request.headers.get("Origin")
    if origin is not None and _host_of(origin) != request.host:
        return True
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return True
    browser = request.headers.get("User-Agent", "").startswith("Mozilla/")
    return browser and origin is None and request.method == "GET"

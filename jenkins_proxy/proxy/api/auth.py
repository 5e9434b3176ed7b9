"""Who may do what through the API.

Where there are tokens or client certificates, whatever changes something needs one with the role ``change``, and
whatever tells of routes, outputs and counts one with the role ``read`` or ``change``. Without any, whoever reaches the
port may call, which the daemon allows on loopback only (or with ``--insecure``). Then the attacker is a web page in a
browser that reaches the port, too. It is recognised by headers that a page cannot remove (Origin, Sec-Fetch-Site, a
browser's User-Agent on a GET), and by a Host that an attacker's DNS may have pointed at this machine. A token is sent
as ``Authorization: Bearer``, or as the password of basic authentication, which is how Docker Flow: Swarm Listener's
URLs can hold it.

Health, metrics and the page itself are open in both cases and hold no secret; but where the daemon listens on loopback
alone, not to a Host that an attacker's DNS may have pointed there.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from jenkins_proxy import hostnames
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.access.callers import ANONYMOUS, CERTIFICATE, TOKEN, Caller, ClientRoles, Role
from jenkins_proxy.proxy.access.tokens import Tokens

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])

_HOW = "send JENKINS_PROXY_TOKEN's value as `Authorization: Bearer`"


class AccessDenied(ProxyError):
    """The caller may not do this. :ivar status: 401 when a token would help, else 403."""

    def __init__(self, message: str, hint: str, status: int = 403) -> None:
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True)
class Guard:
    """What a handler asks of its callers.

    :ivar role: which they need, where callers have roles.
    :ivar pages: whether a web page's request is let through where they have none: what is only read is kept from the
        page by its browser.
    :ivar action: what is changed, for the audit; empty for a call that is not recorded.
    """

    role: Role
    pages: bool = False
    action: str = ""


def guarded(role: Role, *, pages: bool = False, action: str = "") -> Callable[[AnyHandler], AnyHandler]:
    """Mark a handler. The arguments are those of :class:`Guard`."""

    def mark(handler: AnyHandler) -> AnyHandler:
        vars(handler)["guard"] = Guard(role, pages, action)
        return handler

    return mark


def guard_of(handler: Any) -> Guard | None:
    """How a handler is marked; None where everybody may call it."""
    guard = getattr(handler, "guard", None)
    return guard if isinstance(guard, Guard) else None


class Authenticator:
    """Decides over each request.

    :param tokens: what callers may present.
    :param certificates: whom client certificates stand for; None where the API does not ask for them.
    :param names: host names by which callers may reach the daemon without a role, beside addresses, names without a
        dot and this machine's own.
    :param loopback: whether the daemon listens on loopback alone, where no other machine has names for it.
    """

    def __init__(
        self,
        tokens: Tokens,
        names: Iterable[str] = (),
        *,
        loopback: bool = True,
        certificates: ClientRoles | None = None,
    ) -> None:
        self._tokens = tokens
        self._certificates = certificates
        self._loopback = loopback
        self._names = {name.lower() for name in names}

    def check(self, request: web.Request, guard: Guard | None) -> None:
        """Let a request go on.

        :param guard: of its handler.
        :raises AccessDenied: when it may not.
        """
        known = self.caller(request).role is not None
        denial = self._denial(request, guard) if guard else None
        if not known and (not self._roles or self._loopback):
            self._check_name(request)
        if denial:
            raise denial

    def caller(self, request: web.Request) -> Caller:
        """Who sent a request, by what it presents now: a file of tokens may change while it is under way."""
        # A scheme's letters are of any case (RFC 9110, section 11.1).
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if scheme and self._tokens:
            kind = scheme.lower()
            # A browser sends a password by itself once it knows it, also for a page of another site.
            if kind == "basic" and not _sent_by_a_page(request):
                kind, presented = "bearer", _password(presented)
            token = self._tokens.find(presented) if kind == "bearer" else None
            return Caller(token.name, TOKEN, token.role) if token else ANONYMOUS
        if self._certificates and request.transport:
            return self._certificates.caller(request.transport.get_extra_info("peercert")) or ANONYMOUS
        return ANONYMOUS

    def trusts(self, request: web.Request) -> bool:
        """Whether the caller of a request that may go on may also see secrets."""
        return self._denial(request, Guard(Role.CHANGE)) is None

    def knows(self, request: web.Request) -> bool:
        """Whether the caller is known as one that may change; nobody is where there are no roles."""
        return self.caller(request).role is Role.CHANGE

    def access(self, request: web.Request) -> Caller:
        """As :meth:`caller`; where there are no roles, everybody who reaches the daemon may change."""
        return self.caller(request) if self._roles else Caller("", "", Role.CHANGE)

    @property
    def _roles(self) -> bool:
        """Whether callers have roles."""
        return bool(self._tokens) or self._certificates is not None

    def _denial(self, request: web.Request, guard: Guard) -> AccessDenied | None:
        if self._roles:
            return self._role_denial(request, guard.role)
        if not guard.pages and _sent_by_a_page(request):
            return AccessDenied(
                "this looks like a request that a web page makes",
                "use curl or jenkins-proxy, or start the daemon with a token",
            )
        return None

    def _role_denial(self, request: web.Request, needed: Role) -> AccessDenied | None:
        caller = self.caller(request)
        if caller.role is None and caller.credential != CERTIFICATE:
            if not self._tokens:
                return AccessDenied("a client certificate is needed", "JENKINS_PROXY_CLIENT_CERT names its file", 401)
            said = "wrong token" if "Authorization" in request.headers else "a token is needed"
            return AccessDenied(said, _HOW, 401)
        if caller.role is None:
            return AccessDenied(
                f"the client certificate of {caller.name!r} has no role here",
                "serve's option --client-role gives it one",
            )
        if not caller.role.covers(needed):
            return AccessDenied(
                f"the {caller.credential} {caller.name!r} may only read, and this call changes something",
                "use one with the role `change`",
            )
        return None

    def _check_name(self, request: web.Request) -> None:
        name = hostnames.in_header(request.host)
        if hostnames.can_be_rebound(name, self._names):
            raise AccessDenied(
                f"called by the unknown host name {name[:80]!r}",
                "start the daemon with a token, or with --allow-host for that name",
            )


class Access:
    """The handler that says which role a caller has."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._auth = authenticator

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/access", self.get)

    @guarded(Role.READ, pages=True)
    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(dataclasses.asdict(self._auth.access(request)))


def middleware(authenticator: Authenticator) -> Middleware:
    """The check before every handler."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        authenticator.check(request, guard_of(request.match_info.handler))
        return await handler(request)

    return checked


def _password(credentials: str) -> str:
    """The password of basic authentication (RFC 7617); empty where there is none."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2].decode("utf-8", "surrogateescape")
    except ValueError:
        return ""


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

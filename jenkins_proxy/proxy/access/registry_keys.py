"""Who writes the keys of the embedded registry that lead users, and the record of it."""

from __future__ import annotations

import hmac
import time

from aiohttp import web

from jenkins_proxy.proxy.access.audit import Audit, AuditEntry, request_id
from jenkins_proxy.proxy.access.callers import ANONYMOUS, TOKEN, Caller
from jenkins_proxy.proxy.access.tokens import Tokens

_KV = "/v1/kv/"


class RegistryKeys:
    """What the embedded registry asks about callers.

    :param tokens: of the API: what may change there may write here.
    :param own: the token of the daemon, whose writes follow from calls that are recorded already.
    :param registry: the registry's token; empty for none.
    :param unrecorded: what the keys begin with that other proxies write all the time, and that lead nobody.
    """

    def __init__(
        self, tokens: Tokens, own: str, registry: str, audit: Audit, *, unrecorded: tuple[str, ...] = ()
    ) -> None:
        self._tokens, self._own, self._registry, self._audit = tokens, own, registry, audit
        self._unrecorded = unrecorded

    def opens(self, presented: str) -> bool:
        """Whether what a caller presents opens everything in the registry."""
        return _same(presented, self._own) or self._tokens.may_change(presented)

    def told(self, presented: str, request: web.Request, status: int) -> None:
        """Record that somebody wrote a key, or tried to."""
        key = request.path[len(_KV) :]
        if _same(presented, self._own) or key.startswith(self._unrecorded):
            return
        self._audit.record(
            AuditEntry.of(
                self._caller(presented),
                time=time.time(),
                request_id=request_id(request.headers),
                peer=request.remote or "",
                action=f"registry {request.method.lower()}",
                service=key,
                status=status,
            )
        )

    def _caller(self, presented: str) -> Caller:
        token = self._tokens.find(presented)
        if token:
            return Caller(token.name, TOKEN, token.role)
        if self._registry and _same(presented, self._registry):
            return Caller("CONSUL_HTTP_TOKEN", TOKEN)
        return ANONYMOUS


def _same(presented: str, expected: str) -> bool:
    return hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), expected.encode())

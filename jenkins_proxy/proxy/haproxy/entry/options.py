"""What holds at the entry for all routes, as data for the templates. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog

CERTIFICATES = "certs"
"""The folder of the certificates that HAProxy serves, within the folder that it runs in."""
CERTIFICATE_LIST = "certs.list"
"""Its list of them, in the form of ``crt-list``."""
ACME_BACKEND = "acme-challenge"
"""The backend of ACME's challenges. No service's backend has this name: theirs end in ``-be``."""
ACME_PATH = "/.well-known/acme-challenge/"
PAGE_STATUSES = (400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504)
"""The statuses that HAProxy answers with itself."""


@dataclass(frozen=True)
class Tls:
    """How users are served by https.

    :ivar binds: addresses to listen on, in HAProxy's words: ``*:443``.
    :ivar redirect_port: the port to which requests by http are redirected; 0: they are served.
    :ivar hsts: for how many seconds browsers shall come by https only (Strict-Transport-Security); 0: it is not said.
    """

    binds: tuple[str, ...]
    redirect_port: int = 0
    hsts: int = 0

    @property
    def suffix(self) -> str:
        """The port of https as it stands in a URL: nothing for the usual one."""
        port = str(self.redirect_port or self.binds[0].rpartition(":")[2])
        return "" if port == "443" else f":{port}"


@dataclass(frozen=True)
class Entry:
    """What holds at the entry. Without any of it the configuration has no line of it.

    :ivar acme: who answers ACME's challenges, which are asked for by http.
    :ivar forwarded: whether services get X-Forwarded-Proto, -Host and -Port; they do in any case where there is https.
    :ivar request_id: whether services get X-Request-ID.
    :ivar trusted: networks whose callers' own X-Forwarded-* and X-Request-ID are kept.
    :ivar access_log: None: requests are not logged.
    :ivar error_pages: whole answers of HTTP instead of HAProxy's own, by status.
    :ivar no_route_status: of the answer to a request that no route is for.
    """

    tls: Tls | None = None
    acme: Address | None = None
    forwarded: bool = False
    request_id: bool = False
    trusted: tuple[str, ...] = ()
    access_log: AccessLog | None = None
    error_pages: Mapping[int, str] = field(default_factory=dict)
    no_route_status: int = 503

    @property
    def https_suffix(self) -> str:
        """The port of https as it stands in a URL. Where TLS ends before this proxy, it is the usual one."""
        return self.tls.suffix if self.tls else ""

    @property
    def page_files(self) -> Mapping[int, str]:
        """The names of the files of the error pages, by status: they come from what is in them."""
        return {
            status: f"{status}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.http"
            for status, text in sorted(self.error_pages.items())
        }

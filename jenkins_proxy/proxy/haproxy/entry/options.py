"""What holds at the entry for all routes, as data for the templates. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.model import Address

CERTIFICATES = "certs"
"""The folder of the certificates that HAProxy serves, within the folder that it runs in."""
CERTIFICATE_LIST = "certs.list"
"""Its list of them, in the form of ``crt-list``."""
ACME_BACKEND = "acme-challenge"
"""The backend of ACME's challenges. No service's backend has this name: theirs end in ``-be``."""
ACME_PATH = "/.well-known/acme-challenge/"


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
    def redirect_suffix(self) -> str:
        """The port as it stands in a URL: nothing for that of https."""
        return "" if self.redirect_port == 443 else f":{self.redirect_port}"


@dataclass(frozen=True)
class Entry:
    """What holds at the entry. Without any of it the configuration has no line of it.

    :ivar acme: who answers ACME's challenges, which are asked for by http.
    """

    tls: Tls | None = None
    acme: Address | None = None

"""The certificates' parts put together, as the options of a daemon say."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.proxy.certificates.own import OwnCertificate
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.certificates.sharing import Cipher, SharedCertificates
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.timing import Timing


@dataclass(frozen=True)
class CertificateOptions:
    """Where certificates come from.

    :ivar folder: of those that users meet; None: only those that come by the API.
    :ivar share_key: by which they are encrypted in the registry, for several proxies; empty: they are this one's own.
    :ivar own: the API's: the certificate's file and its key's, or none.
    """

    folder: Path | None = None
    share_key: bytes = b""
    own: tuple[str, str] = ("", "")


def create(
    haproxy: HAProxy,
    options: CertificateOptions,
    *,
    store: Path,
    registry: AsyncConsul,
    events: EventBus,
    reload: Callable[[], Awaitable[None]],
    timing: Timing,
) -> CertificateService:
    """The service of the certificates that users meet. The arguments are those of :class:`CertificateService`."""
    make: Callable[..., CertificateService] = CertificateService
    if options.share_key:
        make = functools.partial(SharedCertificates, registry=registry, cipher=Cipher(options.share_key))
    return make(haproxy, folder=options.folder, store=store, events=events, reload=reload, timing=timing)


def work(
    certificates: CertificateService,
    options: CertificateOptions,
    context: ssl.SSLContext | None,
    *,
    events: EventBus,
    timing: Timing,
) -> Iterator[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    """What runs beside the rest for as long as the daemon does, each with its name.

    :param context: of the API; None when it is served by http.
    """
    yield "the certificates", certificates.run
    if isinstance(certificates, SharedCertificates):
        yield "the certificates of other proxies", certificates.follow
    if context:
        yield "the API's certificate", OwnCertificate(context, *options.own, events=events, timing=timing).run

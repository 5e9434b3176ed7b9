"""The certificates' parts put together, as the options of a daemon say."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jenkins_proxy.certificate_files import CertificateFile, CertificateFiles
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.certificates import certificate_files as consul_files
from jenkins_proxy.clients.docker.certificates import certificate_files as docker_files
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.proxy.certificates.own import OwnCertificate
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.certificates.sharing import Cipher, SharedCertificates
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.timing import Timing
from jenkins_proxy.settings import Settings


@dataclass(frozen=True)
class CertificateOptions:
    """Where certificates come from.

    :ivar folder: of those that users meet; None: only those that come by the API.
    :ivar share_key: by which they are encrypted in the registry, for several proxies; empty: they are this one's own.
    :ivar own: the API's: the certificate's file and its key's, or none.
    :ivar client_ca: the file of the authorities of the API's clients, or none.
    """

    folder: Path | None = None
    share_key: bytes = b""
    own: tuple[str, str] = ("", "")
    client_ca: str = ""


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
    others: CertificateFiles,
    *,
    events: EventBus,
    timing: Timing,
) -> Iterator[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    """What runs beside the rest for as long as the daemon does, each with its name.

    :param context: of the API; None when it is served by http.
    """
    yield "the certificates", certificates.run
    yield "the calendar of other certificates", functools.partial(others.run, timing.certificates_poll)
    if isinstance(certificates, SharedCertificates):
        yield "the certificates of other proxies", certificates.follow
    if context:
        own = OwnCertificate(context, *options.own, options.client_ca, events=events, timing=timing)
        yield "the API's certificates", own.run


def files(
    options: CertificateOptions, settings: Settings, engine: Endpoint | None, *, events: EventBus
) -> CertificateFiles:
    """The other files with certificates that a daemon has: the API's, and those for its registry or its engine.

    :param engine: of the embedded registry; None where the registry is that of the settings.
    """
    others = docker_files(engine) if engine else consul_files(settings)
    return CertificateFiles(
        (*_api_files(options), *others), ended=lambda line: events.publish("certificate-expires", detail=line)
    )


def _api_files(options: CertificateOptions) -> Iterator[CertificateFile]:
    own, _key = options.own
    if own:
        yield CertificateFile(own, "the API's certificate (--tls-cert)", "", followed=True, quiet=True)
    if options.client_ca:
        yield CertificateFile(
            options.client_ca,
            "the authority of the API's clients (--tls-client-ca)",
            "clients whose certificates it has signed are refused; put a valid one there: it is read anew",
            followed=True,
        )

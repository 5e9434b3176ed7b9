"""The files with certificates by which a daemon speaks to its registry."""

from __future__ import annotations

from collections.abc import Iterator

from jenkins_proxy.certificate_files import CertificateFile
from jenkins_proxy.settings import Settings


def certificate_files(settings: Settings) -> Iterator[CertificateFile]:
    """Those of the settings; none where the registry is spoken to by http."""
    if not settings.consul.startswith("https:"):
        return
    if settings.consul_cacert:
        yield CertificateFile(
            settings.consul_cacert,
            "the registry's authority (CONSUL_CACERT)",
            "a registry whose certificate it has signed is not trusted; put a valid one there, and restart this",
        )
    if settings.consul_client_cert:
        yield CertificateFile(
            settings.consul_client_cert,
            "the certificate for the registry (CONSUL_CLIENT_CERT)",
            "a registry that asks for one refuses it; put a renewed one there, and restart this",
        )

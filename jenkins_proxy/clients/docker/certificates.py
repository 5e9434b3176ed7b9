"""The files with certificates by which a daemon speaks to a Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator

from jenkins_proxy.certificate_files import CertificateFile
from jenkins_proxy.clients.docker.endpoint import Endpoint


def certificate_files(endpoint: Endpoint) -> Iterator[CertificateFile]:
    """Those of an engine; none where it is spoken to without TLS."""
    if not endpoint.certificates:
        return
    yield CertificateFile(
        endpoint.cacert,
        "the Docker Engine's authority (DOCKER_CERT_PATH)",
        "an engine whose certificate it has signed is not trusted; put a valid one there, and restart this",
    )
    yield CertificateFile(
        endpoint.cert,
        "the certificate for the Docker Engine (DOCKER_CERT_PATH)",
        "the engine refuses it; put a renewed one there, and restart this",
    )

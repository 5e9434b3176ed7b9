"""TLS contexts from files: of a client that trusts an authority and may show a certificate, and of a server."""

from __future__ import annotations

import ssl

from jenkins_proxy.errors import UsageError


def client_context(cacert: str, cert: str, key: str, *, what: str, hint: str) -> ssl.SSLContext:
    """The context of a client.

    :param cacert: a file with the authority to trust; the system's authorities when empty.
    :param cert: a file with our own certificate, or empty.
    :param key: the file with its key; empty when the certificate's file holds it, too.
    :param what: whose certificates they are, for the error: ``the registry's certificates``.
    :raises UsageError: when a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=cacert or None)
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"cannot use {what}: {error}", hint) from error
    return context


def server_context(cert: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """The context of a server.

    :param key: may be empty when the certificate's file holds it, too.
    :param client_ca: a file with the authorities whose certificates clients may show; empty: they are not asked. A
        client without one is let in: what it may is decided by whom it asks.
    :raises UsageError: when a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password instead of a question on a terminal that nobody sits at.
        context.load_cert_chain(cert, key or None, password="")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use the certificate {cert} with the key {key or cert}: {error.strerror or error}"
        ) from error
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cannot use the clients' authority {client_ca}: {error.strerror or error}") from error
        context.verify_mode = ssl.CERT_OPTIONAL
    return context

"""Where the daemon listens: parses the options, binds the ports, and refuses what would be open by accident."""

from __future__ import annotations

import errno
import re
import socket
import ssl

from jenkins_proxy.errors import UsageError
from jenkins_proxy.hostnames import is_loopback
from jenkins_proxy.model import Address
from jenkins_proxy.validation import parse_address

_BACKLOG = 1024


def parse_listen(value: str, option: str) -> Address:
    """``127.0.0.1:8081``, ``[::1]:8081``, ``*:80`` or ``:80`` as an address; ``*`` stands for every IPv4 address."""
    every = re.fullmatch(r"\*?:([0-9]{1,5})", value)
    return parse_address(f"0.0.0.0:{every[1]}" if every else value, option)


def check_exposure(address: Address, option: str, variable: str, *, safe: bool) -> None:
    """Refuse to be open to the network by accident.

    :param variable: the setting that gives a token.
    :param safe: whether callers must know a token, or the person has said that open is meant.
    :raises UsageError: when any machine that reaches the address could change what users get.
    """
    if not safe and not is_loopback(address.host):
        raise UsageError(
            f"{option} {address} is open to other machines, and no token protects it",
            f"set {variable} or {variable}_FILE, or say --insecure if this network is to be trusted",
        )


def take_port(address: Address, option: str) -> socket.socket:
    """A socket that listens, from now on: before anything is started that a taken port would have to undo.

    :raises UsageError: when the address is taken, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address.host, address.port))
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        hint = "another daemon runs, or another program has it: `ss -ltnp` shows which; choose another port"
        reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot listen on {option} {address}: {reason}", hint if error.errno == errno.EADDRINUSE else ""
        ) from error
    return taken


def tls_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """For https on the API; None without a certificate.

    :param key: may be empty when the certificate's file holds it, too.
    """
    if not certificate:
        if key:
            raise UsageError("--tls-key is given without --tls-cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password instead of a question on a terminal that nobody sits at.
        context.load_cert_chain(certificate, key or None, password="")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use the certificate {certificate} with the key {key or certificate}: {error.strerror or error}"
        ) from error
    return context

"""The arguments that name an address: where to listen, and under which address containers are reached."""

from __future__ import annotations

import argparse
import re
import ssl

from jenkins_proxy import tls
from jenkins_proxy.errors import UsageError
from jenkins_proxy.hostnames import is_loopback, is_specific_address
from jenkins_proxy.model import Address
from jenkins_proxy.validation import parse_address


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


def bind(value: str) -> str:
    """An address as HAProxy's ``bind`` takes it: ``*:80`` for every address, else ``host:port``."""
    address = parse_listen(value, "--bind")
    return f"*:{address.port}" if value.startswith(("*", ":")) else str(address)


def reachable_ip(text: str) -> str:
    """The type of ``--ip``: one machine's IP address."""
    if not is_specific_address(text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not an address under which containers can be reached")
    return text


def tls_context(cert: str, key: str) -> ssl.SSLContext | None:
    """For https, from ``--tls-cert`` and ``--tls-key``; None without a certificate.

    :raises UsageError: for a key alone, or files that cannot be used.
    """
    if cert:
        return tls.server_context(cert, key)
    if key:
        raise UsageError("--tls-key is given without --tls-cert")
    return None

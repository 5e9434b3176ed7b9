"""Host names: which of them may be used for DNS rebinding, and which are loopback."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

# Top-level domains in which nobody can register a name (RFC 6761, ICANN 2024): `host.docker.internal` reaches us, too.
_UNREGISTRABLE = (".localhost", ".internal")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(name: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_specific_address(text: str) -> bool:
    """Whether it is the IP address of one machine: not ``0.0.0.0`` or ``::``, which stand for all addresses."""
    return is_address(text) and not ipaddress.ip_address(text).is_unspecified


def in_header(host: str) -> str:
    """The name or address in a ``Host`` header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def can_be_rebound(name: str, own_names: Collection[str]) -> bool:
    """Whether an attacker may own the name by which we are called, and have pointed it at us (DNS rebinding).

    That needs a domain that can be registered, and those have a dot.

    :param own_names: names of ours in lower case, apart from this machine's.
    """
    own = name in own_names or name == socket.gethostname().lower()
    return "." in name and not (own or is_address(name) or name.endswith(_UNREGISTRABLE))

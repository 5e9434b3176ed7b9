"""At which addresses the published ports of an engine can show up in the registry."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jenkins_proxy.clients.docker.endpoint import Endpoint

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")


def of_engine(endpoint: Endpoint, info: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the one machine behind an endpoint.

    :param info: the engine's ``/info``.
    :return: none when they cannot be known, as in an agent that is itself a container with the engine's socket
        mounted: it does not see its host's addresses.
    """
    name = info.get("Name", "")
    if endpoint.local and name != socket.gethostname():
        return ()
    addresses = set() if endpoint.local else of_host(endpoint.host)
    mine = of_this_machine()
    if endpoint.local or addresses & mine:
        addresses |= mine
    swarm = info.get("Swarm", {}).get("NodeAddr", "")
    return tuple(sorted(addresses | of_host(name) | ({swarm} if swarm else set())))


def of_host(name: str) -> set[str]:
    """The addresses of a host name, itself one of them if it is an address; none when it does not resolve."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)} if name else set()
    except (OSError, UnicodeError):
        return set()


def of_this_machine() -> set[str]:
    """Every address of this machine's interfaces, loopback included."""
    addresses = of_host(socket.gethostname()) | {"127.0.0.1", "::1"}
    # Linux lists them in two files; there is no portable call for them in the standard library.
    if _FIB_TRIE.exists():
        addresses.update(ipv4_of(_FIB_TRIE.read_text(encoding="ascii").splitlines()))
    if _IF_INET6.exists():
        addresses.update(ipv6_of(_IF_INET6.read_text(encoding="ascii").splitlines()))
    return addresses


def ipv4_of(fib_trie: Iterable[str]) -> set[str]:
    """The local addresses in ``/proc/net/fib_trie``: a line ``|-- 10.0.0.5``, then ``/32 host LOCAL`` below it."""
    addresses, address = set(), ""
    for line in fib_trie:
        leaf = re.fullmatch(r"\s*\|-- ([\d.]+)", line)
        if leaf:
            address = leaf[1]
        elif line.strip() == "/32 host LOCAL":
            addresses.add(address)
    return addresses


def ipv6_of(if_inet6: Iterable[str]) -> set[str]:
    """The addresses in ``/proc/net/if_inet6``: 32 hexadecimal digits at the start of each line."""
    return {socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in if_inet6 if line.strip()}

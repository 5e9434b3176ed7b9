"""Host names as numeric addresses. HAProxy gets numbers only: one name that it cannot look up would stop it all."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from jenkins_proxy import hostnames
from jenkins_proxy.model import Address


@functools.lru_cache(maxsize=65536)
def is_numeric(host: str) -> bool:
    # The zone of a link-local address is any text at all, and no address that another machine could use.
    return "%" not in host and hostnames.is_address(host)


class HostTable:
    """The addresses of host names, as they were looked up last."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[str, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names that were looked up, also those without an address."""
        return tuple(self._numbers)

    def resolve(self, address: Address) -> tuple[Address, ...]:
        """The numeric addresses behind one, which for a numeric one is itself.

        :return: none while its name is not known, or when its port is one that nothing can listen on.
        """
        if not address.has_port:
            return ()
        if is_numeric(address.host):
            return (address,)
        return tuple(Address(host, address.port) for host in self._numbers.get(address.host, ()) if is_numeric(host))

    def unknown(self, addresses: Iterable[Address]) -> set[str]:
        """The names among these that have no address yet."""
        return {
            address.host
            for address in addresses
            if not is_numeric(address.host) and not self._numbers.get(address.host)
        }

    def put(self, name: str, numbers: Iterable[str]) -> bool:
        """Take the addresses of a name. :return: whether they differ from those of before."""
        sorted_numbers = tuple(sorted(set(numbers)))
        if self._numbers.get(name) == sorted_numbers:
            return False
        self._numbers[name] = sorted_numbers
        return True

    def put_unresolved(self, name: str) -> None:
        """A look-up failed. A name that was known keeps its addresses: a name server that is away must not take
        servers out."""
        self._numbers.setdefault(name, ())

"""Host names as numeric addresses. HAProxy gets numbers only: one name that it cannot look up would stop it all."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Iterable

from jenkins_proxy import hostnames
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.model import Address

_REFRESH = 30.0
_WITHIN = 5.0


@functools.lru_cache(maxsize=65536)
def is_numeric(host: str) -> bool:
    # The zone of a link-local address is any text at all, and no address that another machine could use.
    return "%" not in host and hostnames.is_address(host)


class Resolver:
    """The names in use, looked up again every half a minute.

    :param changed: called when a name has other addresses than before.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._known: dict[str, tuple[str, ...]] = {}

    def resolve(self, address: Address) -> tuple[Address, ...]:
        """The addresses behind one; none while its name is not known, or its port is none. A numeric one is itself."""
        if not address.has_port:
            return ()
        if is_numeric(address.host):
            return (address,)
        return tuple(Address(host, address.port) for host in self._known.get(address.host, ()) if is_numeric(host))

    async def lookup(self, addresses: Iterable[Address]) -> bool:
        """Look up the names among these that are not known yet. :return: whether there were any."""
        unknown = {one.host for one in addresses if not is_numeric(one.host) and not self._known.get(one.host)}
        await asyncio.gather(*(self._look_up(host) for host in unknown))
        return bool(unknown)

    async def refresh(self) -> None:
        """Look all names up again, for ever."""
        while True:
            await asyncio.sleep(_REFRESH)
            await asyncio.gather(*(self._look_up(host) for host in self._known))

    async def _look_up(self, host: str) -> None:
        query = asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        try:
            found = await with_timeout(query, _WITHIN)
        except (TimeoutError, OSError, UnicodeError):
            # A name that was known keeps its addresses: a name server that is away must not take servers out.
            self._known.setdefault(host, ())
            return
        numbers = tuple(sorted({entry[4][0] for entry in found}))
        if self._known.get(host) != numbers:
            self._known[host] = numbers
            self._changed()

"""A route with the servers behind it, each in a state: as it is desired, or as HAProxy runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from jenkins_proxy.model import Address, Route


class ServerState(StrEnum):
    """What a server is there for."""

    SERVING = "serving"
    """It gets new requests."""
    DRAINING = "draining"
    """It gets no new requests, and is removed once it is idle."""


@dataclass(frozen=True)
class Backend:
    """A route and its servers.

    :ivar servers: the state of each, by address: numeric ones, so that HAProxy never looks up a name.
    """

    route: Route
    servers: Mapping[Address, ServerState] = field(default_factory=dict)

    @classmethod
    def serving(cls, route: Route, addresses: Iterable[Address]) -> Backend:
        """A backend whose servers all get requests."""
        return cls(route, dict.fromkeys(addresses, ServerState.SERVING))

    def addresses(self, state: ServerState) -> frozenset[Address]:
        """The servers in a state."""
        return frozenset(address for address, own in self.servers.items() if own is state)

    def with_server(self, address: Address, state: ServerState | None) -> Backend:
        """The backend after one server came to a state, or went when it is None."""
        servers = {other: own for other, own in self.servers.items() if other != address}
        if state:
            servers[address] = state
        return replace(self, servers=servers)

    @property
    def lasting(self) -> Backend:
        """The backend without the servers that are on their way out: what a configuration file says."""
        if ServerState.DRAINING not in self.servers.values():
            return self
        lasting = {address: state for address, state in self.servers.items() if state is not ServerState.DRAINING}
        return replace(self, servers=lasting)


def addresses(backend: Backend | None, state: ServerState) -> frozenset[Address]:
    """The servers of a backend in a state; none where there is no backend."""
    return backend.addresses(state) if backend else frozenset()

"""A route with the servers behind it, each in a state: as it is desired, or as HAProxy runs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from jenkins_proxy.model import Address, Route


class ServerState(StrEnum):
    """What a server is there for."""

    SERVING = "serving"
    """It gets new requests."""
    CANDIDATE = "candidate"
    """It gets requests with the key of the deploy that started it, and no user's."""
    DRAINING = "draining"
    """It gets no new requests, and is removed once it is idle."""


@dataclass(frozen=True)
class KeyedAccess:
    """How requests that bear a deploy's key reach its candidates.

    :ivar hold_id: what the candidates see in place of the key.
    :ivar key_sha256: of the key.
    :ivar route: what makes keyed requests reach the service.
    :ivar candidates: the servers that they reach, by the address that the registry has of each.
    """

    hold_id: str
    key_sha256: str
    route: Route
    candidates: Mapping[Address, Address] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[Address, ...]:
        """The servers that keyed requests reach, in order."""
        return tuple(sorted(set(self.candidates.values())))


@dataclass(frozen=True, slots=True)
class Backend:
    """A route and its servers.

    :ivar servers: the state of each, by address: numeric ones, so that HAProxy never looks up a name.
    :ivar keyed: set while a deploy holds the service.
    :ivar public: whether users have the route; false at a first deploy until it is promoted.
    """

    route: Route
    servers: Mapping[Address, ServerState] = field(default_factory=dict)
    keyed: KeyedAccess | None = None
    public: bool = True

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

    @property
    def held_route(self) -> Route | None:
        """The route of keyed requests where it leads them another way than the users' does; else None."""
        if self.keyed is None or self.public and without_color(self.keyed.route) == without_color(self.route):
            return None
        return self.keyed.route

    @property
    def layout(self) -> tuple[Route | None, str, Route | None]:
        """What only a reload can change: the users' route, and the keyed one with its key where it differs."""
        held = self.held_route
        return (
            without_color(self.route) if self.public else None,
            self.keyed.key_sha256 if self.keyed and held else "",
            without_color(held) if held else None,
        )

    def server_route(self, state: ServerState) -> Route:
        """The route whose options hold for a server in this state."""
        return self.keyed.route if self.keyed and state is ServerState.CANDIDATE else self.route


def without_color(route: Route) -> Route:
    """The route as HAProxy sees it: the color says where its instances are, and stands in no configuration."""
    return dataclasses.replace(route, color="") if route.color else route


def addresses(backend: Backend | None, state: ServerState) -> frozenset[Address]:
    """The servers of a backend in a state; none where there is no backend."""
    return backend.addresses(state) if backend else frozenset()

"""From what HAProxy runs to what it should run: commands for its Runtime API, or a reload. Pure.

Management guide 2.6, section 9.3: a server that is added begins in maintenance, its check is enabled apart, and one
that is removed must be in maintenance and without a connection. So a server that goes is drained first, and removed
once it is idle. A candidate is a server of weight 0.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config import candidate_map
from jenkins_proxy.proxy.haproxy.config.render import server_options
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME


class Change(Protocol):
    """A change of one backend.

    :ivar commands: for the Runtime API, in order.
    """

    @property
    def service(self) -> str: ...

    @property
    def commands(self) -> tuple[str, ...]: ...

    def apply(self, backend: Backend) -> Backend:
        """The backend after the change."""


@dataclass(frozen=True)
class ServerChange:
    """One server comes from one state to another.

    :ivar route: whose options hold for the server.
    :ivar before: None for a server that HAProxy does not have yet.
    :ivar after: None for a server that is removed.
    :ivar sticky: whether the users' route keeps them at their instance.
    """

    route: Route
    address: Address
    before: ServerState | None
    after: ServerState | None
    sticky: bool = False

    @property
    def service(self) -> str:
        return self.route.service

    @property
    def commands(self) -> tuple[str, ...]:
        if not self.sticky or ServerState.SERVING not in (self.before, self.after):
            return self._server_commands
        # Users who stay at their instance come when it serves, and no more once it does not.
        entry = f"map {candidate_map.FILE} {candidate_map.cookie_key(self.service, self.address)}"
        if self.after is ServerState.SERVING:
            return (*self._server_commands, f"add {entry} {server_name(self.address)}")
        return (f"del {entry}", *self._server_commands)

    @property
    def _server_commands(self) -> tuple[str, ...]:
        server = f"{backend_name(self.service)}/{server_name(self.address)}"
        if self.after is None:
            return f"set server {server} state maint", f"del server {server}"
        if self.before is None:
            return self._addition(server)
        if self.after is ServerState.DRAINING:
            return (f"set server {server} state drain",)
        weight = f"set server {server} weight {0 if self.after is ServerState.CANDIDATE else 1}"
        return (weight, f"set server {server} state ready") if self.before is ServerState.DRAINING else (weight,)

    def _addition(self, server: str) -> tuple[str, ...]:
        weight = " weight 0" if self.after is ServerState.CANDIDATE else ""
        health = () if self.route.skip_check else (f"enable health {server}",)
        state = "drain" if self.after is ServerState.DRAINING else "ready"
        addition = f"add server {server} {self.address}{weight} {server_options(self.route)}"
        return (addition, *health, f"set server {server} state {state}")

    def apply(self, backend: Backend) -> Backend:
        return backend.with_server(self.address, self.after)


@dataclass(frozen=True)
class KeyChange:
    """A deploy's key comes to lead to other candidates, or to lead there at all, or no more."""

    service: str
    before: KeyedAccess | None
    after: KeyedAccess | None

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(candidate_map.commands(self.before, self.after))

    def apply(self, backend: Backend) -> Backend:
        return dataclasses.replace(backend, keyed=self.after)


@dataclass(frozen=True)
class RouteChange:
    """The route changes in what HAProxy does not see: its color."""

    route: Route

    @property
    def service(self) -> str:
        return self.route.service

    @property
    def commands(self) -> tuple[str, ...]:
        return ()

    def apply(self, backend: Backend) -> Backend:
        return dataclasses.replace(backend, route=self.route)


@dataclass(frozen=True)
class Plan:
    """What to do: a reload, or changes, or nothing.

    :ivar changes: beside a reload, those that would do without it.
    """

    reload: bool = False
    changes: tuple[Change, ...] = ()


def plan(running: Mapping[str, Backend], desired: Mapping[str, Backend]) -> Plan:
    """The least change.

    :param running: by service; ``desired`` likewise. Both may be limited to the services in question.
    """
    same = [name for name in desired if name in running and running[name].layout == desired[name].layout]
    changes = tuple(change for name in same for change in _changes(running[name], desired[name]))
    return Plan(not len(same) == len(desired) == len(running), changes)


def _changes(running: Backend, desired: Backend) -> Iterator[Change]:
    if running.route != desired.route:
        yield RouteChange(desired.route)
    # What comes is in before what goes is out: there is no moment without a server. A key leads to no server that has
    # not come yet or is about to go.
    coming, going = _server_changes(running, desired)
    yield from coming
    if running.keyed != desired.keyed:
        yield KeyChange(desired.route.service, running.keyed, desired.keyed)
    yield from going


def _server_changes(running: Backend, desired: Backend) -> tuple[list[ServerChange], list[ServerChange]]:
    """Those that let users reach more servers, and those that let them reach fewer."""
    coming: list[ServerChange] = []
    going: list[ServerChange] = []
    sticky = bool(desired.route.session_type)
    for address, after in sorted(desired.servers.items()):
        before = running.servers.get(address)
        if before is not after:
            change = ServerChange(desired.server_route(after), address, before, after, sticky)
            (going if before is ServerState.SERVING else coming).append(change)
    for address in sorted(running.servers.keys() - desired.servers.keys()):
        before = running.servers[address]
        if before is not ServerState.DRAINING:
            going.append(ServerChange(desired.route, address, before, ServerState.DRAINING, sticky))
    return coming, going


def difference(before: str, after: str) -> str:
    """A unified diff of two configurations; empty when they are the same."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=1)
    return "\n".join(lines)


def means(before: Backend | None, after: Backend | None) -> str:
    """By what HAProxy comes from one to the other: ``reload``, ``runtime`` or ``none``."""
    if before is None or after is None or before.layout != after.layout:
        return RELOAD
    return NONE if before.lasting == after.lasting else RUNTIME

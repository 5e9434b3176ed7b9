"""From what HAProxy runs to what it should run: commands for its Runtime API, or a reload. Pure.

Management guide 2.6, section 9.3: a server that is added begins in maintenance, its check is enabled apart, and one
that is removed must be in maintenance and without a connection. So a server that goes is drained first, and removed
once it is idle.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.render import server_name, server_options
from jenkins_proxy.proxy.haproxy.route_table import backend_name
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME

_COMMAND_STATES = {ServerState.SERVING: "ready", ServerState.DRAINING: "drain"}


@dataclass(frozen=True)
class ServerChange:
    """One server comes from one state to another.

    :ivar before: None for a server that HAProxy does not have yet.
    :ivar after: None for a server that is removed.
    """

    route: Route
    address: Address
    before: ServerState | None
    after: ServerState | None

    @property
    def commands(self) -> tuple[str, ...]:
        """For the Runtime API, in order."""
        server = f"{backend_name(self.route.service)}/{server_name(self.address)}"
        if self.after is None:
            return f"set server {server} state maint", f"del server {server}"
        to_state = f"set server {server} state {_COMMAND_STATES[self.after]}"
        if self.before is not None:
            return (to_state,)
        health = () if self.route.skip_check else (f"enable health {server}",)
        return (f"add server {server} {self.address} {server_options(self.route)}", *health, to_state)

    def apply(self, backend: Backend) -> Backend:
        """The backend after the change."""
        return backend.with_server(self.address, self.after)


@dataclass(frozen=True)
class Plan:
    """What to do. Either a reload, or changes of servers, or nothing."""

    reload: bool = False
    changes: tuple[ServerChange, ...] = ()


def plan(running: Mapping[str, Backend], desired: Mapping[str, Backend]) -> Plan:
    """The least change.

    :param running: by service; ``desired`` likewise. Both may be limited to the services in question.
    """
    if {name: backend.route for name, backend in running.items()} != {
        name: backend.route for name, backend in desired.items()
    }:
        return Plan(reload=True)
    return Plan(changes=tuple(change for name in desired for change in _changes(running[name], desired[name])))


def _changes(running: Backend, desired: Backend) -> Iterator[ServerChange]:
    # What comes is in before what goes is out: there is no moment without a server.
    for address, after in sorted(desired.servers.items()):
        before = running.servers.get(address)
        if before is not after:
            yield ServerChange(desired.route, address, before, after)
    for address in sorted(running.servers.keys() - desired.servers.keys()):
        before = running.servers[address]
        if before is not ServerState.DRAINING:
            yield ServerChange(desired.route, address, before, ServerState.DRAINING)


def difference(before: str, after: str) -> str:
    """A unified diff of two configurations; empty when they are the same."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=1)
    return "\n".join(lines)


def means(before: Backend | None, after: Backend | None) -> str:
    """By what HAProxy comes from one to the other: ``reload``, ``runtime`` or ``none``."""
    if before is None or after is None or before.route != after.route:
        return RELOAD
    return NONE if before.lasting == after.lasting else RUNTIME

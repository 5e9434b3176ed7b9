"""From what HAProxy runs to what it should run: commands for its Runtime API, or a reload. Pure.

Management guide 2.6, section 9.3: a server that is added begins in maintenance, its check is enabled apart, and one
that is removed must be in maintenance and without a connection. So a server that goes is drained first, and removed
once it is idle.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.render import Backend, server_name, server_options
from jenkins_proxy.proxy.haproxy.route_table import backend_name
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME

ADD = "add"
READY = "ready"
DRAIN = "drain"
REMOVE = "remove"


@dataclass(frozen=True)
class Running:
    """A backend as HAProxy runs it.

    :ivar serving: servers that get new requests.
    :ivar leaving: servers that are drained and wait to be idle.
    """

    route: Route
    serving: frozenset[Address] = frozenset()
    leaving: frozenset[Address] = frozenset()


@dataclass(frozen=True)
class ServerChange:
    """One server's change: ``add`` a new one, make a leaving one ``ready`` again, ``drain`` or ``remove`` one."""

    verb: str
    route: Route
    address: Address

    @property
    def commands(self) -> tuple[str, ...]:
        """For the Runtime API, in order."""
        server = f"{backend_name(self.route.service)}/{server_name(self.address)}"
        if self.verb == ADD:
            health = () if self.route.skip_check else (f"enable health {server}",)
            return (
                f"add server {server} {self.address} {server_options(self.route)}",
                *health,
                f"set server {server} state ready",
            )
        if self.verb == REMOVE:
            return f"set server {server} state maint", f"del server {server}"
        return (f"set server {server} state {self.verb}",)


@dataclass(frozen=True)
class Plan:
    """What to do. Either a reload, or changes of servers, or nothing."""

    reload: bool = False
    changes: tuple[ServerChange, ...] = ()


def plan(running: Mapping[str, Running], desired: Mapping[str, Backend]) -> Plan:
    """The least change.

    :param running: by service; ``desired`` likewise. Both may be limited to the services in question.
    """
    if {name: one.route for name, one in running.items()} != {name: one.route for name, one in desired.items()}:
        return Plan(reload=True)
    return Plan(changes=tuple(change for name, one in desired.items() for change in _changes(running[name], one)))


def _changes(running: Running, desired: Backend) -> Iterator[ServerChange]:
    wanted = frozenset(desired.servers)
    # What comes is in before what goes is out: there is no moment without a server.
    for address in sorted(wanted - running.serving):
        yield ServerChange(READY if address in running.leaving else ADD, desired.route, address)
    for address in sorted(running.serving - wanted):
        yield ServerChange(DRAIN, desired.route, address)


def applied(running: Running, change: ServerChange) -> Running:
    """The backend after a change."""
    one = frozenset({change.address})
    if change.verb in (ADD, READY):
        return replace(running, serving=running.serving | one, leaving=running.leaving - one)
    if change.verb == DRAIN:
        return replace(running, serving=running.serving - one, leaving=running.leaving | one)
    return replace(running, leaving=running.leaving - one)


def fresh(desired: Mapping[str, Backend]) -> dict[str, Running]:
    """What runs after a reload: exactly what is desired; what was leaving stays with the worker of before."""
    return {name: Running(one.route, frozenset(one.servers)) for name, one in desired.items()}


def difference(before: str, after: str) -> str:
    """A unified diff of two configurations; empty when they are the same."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=1)
    return "\n".join(lines)


def _way(before: Running | None, now: Running | None) -> str:
    """How HAProxy comes from one to the other."""
    if before is None or now is None or before.route != now.route:
        return RELOAD
    return NONE if before.serving == now.serving else RUNTIME

"""What differs in HAProxy from what the daemon made of it: found in the answers of its Runtime API. Pure.

Management guide 2.6, section 9.3, "show servers state", whose first line is the version of its form. A server that
serves is in no administrative state and has weight 1, and a candidate weight 0; both are checked where their route says
so. What an own check finds out is no drift.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name

_MAINTENANCE = 0x1 | 0x2 | 0x4 | 0x20
_CHECK_ENABLED = 0x4
_STOPPED = 0
_COLUMNS = ("srv_name", "srv_addr", "srv_port", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_check_state")


@dataclass(frozen=True)
class ServerRow:
    """A server as HAProxy has it.

    :ivar address: where it leads.
    :ivar operational: 0 while it is down.
    :ivar administrative: what somebody has set it to, as bits; 0 for nothing.
    :ivar check: the state of its check, as bits.
    """

    address: str
    port: str
    operational: int
    administrative: int
    weight: int
    check: int


def show(service: str) -> str:
    """The command that asks for a backend's servers."""
    return f"show servers state {backend_name(service)}"


def parse_servers(text: str) -> dict[str, ServerRow]:
    """The answer to :func:`show`: the servers by name; none for a backend that is not there.

    :raises ProxyError: for a form that does not tell what is looked at.
    """
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines) if line.startswith("# ")), None)
    if header is None:
        return {}
    names = lines[header].removeprefix("# ").split()
    if not set(_COLUMNS) <= set(names):
        raise ProxyError(f"HAProxy shows its servers in an unknown form: {lines[header][:80]}")
    name, address, port, operational, administrative, weight, check = (names.index(column) for column in _COLUMNS)
    rows = {}
    for words in map(str.split, lines[header + 1 :]):
        if len(words) > port:
            rows[words[name]] = ServerRow(
                words[address],
                words[port],
                int(words[operational]),
                int(words[administrative]),
                int(words[weight]),
                int(words[check]),
            )
    return rows


def servers(backend: Backend, rows: Mapping[str, ServerRow]) -> Iterator[str]:
    """What differs in the servers of a backend, in words."""
    name = backend_name(backend.route.service)
    known = {server_name(address): (address, state) for address, state in sorted(backend.servers.items())}
    for server, (address, state) in known.items():
        for what in _server(backend, address, state, rows.get(server)):
            yield f"server {name}/{server} {what}"
    for server in sorted(rows.keys() - known.keys()):
        yield f"server {name}/{server} was added"


def _server(backend: Backend, address: Address, state: ServerState, row: ServerRow | None) -> Iterator[str]:
    if state is ServerState.DRAINING:
        # It is removed once it is idle, by whomever.
        if row and not row.administrative:
            yield "was enabled"
        return
    if row is None:
        yield "was removed"
        return
    if row.administrative:
        yield "was disabled" if row.administrative & _MAINTENANCE else "was drained"
    weight = 0 if state is ServerState.CANDIDATE else 1
    if row.weight != weight:
        yield f"has weight {row.weight} instead of {weight}"
    if not _same(address, row):
        yield f"leads to {row.address}:{row.port}"
    unchecked = backend.server_route(state).skip_check
    if not row.administrative and not unchecked and not row.check & _CHECK_ENABLED:
        yield "is checked no more"
    if not row.administrative and unchecked and row.operational == _STOPPED:
        yield "was taken down"


def _same(address: Address, row: ServerRow) -> bool:
    if row.port != str(address.port):
        return False
    try:
        # Of one of version 6 there are several ways to write it.
        return row.address == address.host or ipaddress.ip_address(row.address) == ipaddress.ip_address(address.host)
    except ValueError:
        return False


def entries_differ(expected: str, answer: str) -> bool:
    """Whether a map or an ACL has other entries than its file.

    :param answer: to ``show map`` or ``show acl``: each line begins with a pointer.
    """
    found = [line.partition(" ")[2].split() for line in answer.splitlines() if line.startswith("0x")]
    return sorted(found) != sorted(line.split() for line in expected.splitlines() if line)

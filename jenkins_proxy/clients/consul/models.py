"""Consul's JSON as data. Pure functions; the shapes are those of Consul 1.8's ``/v1/health`` and ``/v1/catalog``."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.model import CRITICAL, PASSING, WARNING, Address, Instance


@dataclass(frozen=True)
class CheckKind:
    """A kind of health check.

    :ivar field: the field of a check's definition that makes it one of this kind.
    :ivar type: Consul's word for the kind, in the field ``Type``.
    :ivar polled: whether it runs at an interval; otherwise somebody reports it.
    :ivar connects: whether it connects to the service, within a time-out.
    """

    field: str
    type: str
    polled: bool = True
    connects: bool = True


HTTP = CheckKind("HTTP", "http")
TCP = CheckKind("TCP", "tcp")
GRPC = CheckKind("GRPC", "grpc")
SCRIPT = CheckKind("Args", "script", connects=False)
TTL = CheckKind("TTL", "ttl", polled=False, connects=False)
CHECK_KINDS = (HTTP, TCP, GRPC, SCRIPT, TTL)

_SEVERITY = {PASSING: 0, WARNING: 1, CRITICAL: 2}
_NO_META: Mapping[str, str] = MappingProxyType({})
_MAINTENANCE = "_service_maintenance:"


@dataclass(frozen=True)
class KvPair:
    """A key with its value.

    :ivar modify_index: what a compare-and-set gives as ``cas``.
    :ivar session: the ID of the session that holds the key, or empty.
    :ivar create_index: another one once the key was deleted and written again.
    :ivar lock_index: how many times the key was locked, by whomever.
    """

    key: str
    value: bytes
    modify_index: int
    session: str = ""
    create_index: int = 0
    lock_index: int = 0


@dataclass(frozen=True)
class Session:
    """A session: what holds locks. ``ttl`` in seconds; 0 is without end."""

    id: str
    name: str
    node: str
    ttl: float
    behavior: str


@dataclass(frozen=True)
class Node:
    """An agent's node.

    :ivar id: made at the agent's first start; empty where a registry has none.
    :ivar entries: the IDs of the entries on it, where the catalog was asked.
    """

    name: str
    id: str
    entries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Check:
    """A health check, of a node where ``service`` and ``service_id`` are empty. ``index`` grows with every change."""

    node: str
    id: str
    status: str
    service: str
    service_id: str
    index: int


def parse_health(entries: Iterable[Mapping[str, Any]]) -> list[Instance]:
    """Instances from ``/v1/health/service/<name>``, sorted by address.

    The status is the worst among the checks of the service and those of its node: ``serfHealth`` and the maintenance
    modes are such checks, and a node that is away takes its services with it.
    """
    return sorted((_instance(entry) for entry in entries), key=lambda instance: (instance.address, instance.id))


def _instance(entry: Mapping[str, Any]) -> Instance:
    service, node, checks = entry["Service"], entry["Node"], entry["Checks"] or []
    failing = next((check for check in checks if check["Status"] != PASSING), None)
    return Instance(
        # There are tens of thousands of them, and most have these in common.
        service=sys.intern(service["Service"]),
        id=service["ID"],
        address=Address(service["Address"] or node["Address"], service["Port"]),
        node=sys.intern(node["Node"]),
        status=sys.intern(worst(check["Status"] for check in checks)),
        checked=any(check["ServiceID"] and not check["CheckID"].startswith(_MAINTENANCE) for check in checks),
        # Maintenance puts its reason into the notes and leaves the output empty.
        output=(failing["Output"] or failing["Notes"]) if failing else "",
        tags=tuple(map(sys.intern, service["Tags"] or ())),
        meta=service["Meta"] or _NO_META,
    )


def parse_node(found: Mapping[str, Any] | None) -> dict[str, tuple[int, ...]]:
    """By service, a value of ``/v1/catalog/node/<name>`` that differs after each change of its entries there.

    It is the index of the node, whose address may be theirs, and the indexes of the entries: there are many of them.
    """
    indexes: dict[str, list[int]] = {}
    for entry in (found["Services"] or {}).values() if found else ():
        indexes.setdefault(sys.intern(entry["Service"]), []).append(entry["ModifyIndex"])
    own = found["Node"]["ModifyIndex"] if found else 0
    return {service: (own, *sorted(of_entries)) for service, of_entries in indexes.items()}


def parse_catalog_node(found: Mapping[str, Any] | None) -> Node | None:
    """The node of ``/v1/catalog/node/<name>``; ``null`` is none."""
    if not found:
        return None
    entries = frozenset(entry["ID"] for entry in (found["Services"] or {}).values())
    return Node(found["Node"]["Node"], found["Node"].get("ID") or "", entries)


def parse_agent_node(found: Mapping[str, Any]) -> Node:
    """The agent's own node, from ``/v1/agent/self``."""
    return Node(found["Config"]["NodeName"], found["Config"].get("NodeID") or "")


def worst(statuses: Iterable[str]) -> str:
    """The worst of the statuses; ``passing`` when there is none, ``critical`` for a word that Consul may add."""
    return max(statuses, key=lambda status: _SEVERITY.get(status, 2), default=PASSING)


def passing(instances: Iterable[Instance]) -> list[Instance]:
    """Those whose every check passes: what Consul's own ``?passing`` gives, so ``warning`` is not among them."""
    return [instance for instance in instances if instance.status == PASSING]


def parse_checks(entries: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Checks from ``/v1/health/state/<state>``."""
    return [
        Check(
            entry["Node"],
            entry["CheckID"],
            entry["Status"],
            entry["ServiceName"],
            entry["ServiceID"],
            entry["ModifyIndex"],
        )
        for entry in entries
    ]


def parse_pairs(entries: Iterable[Mapping[str, Any]]) -> list[KvPair]:
    """Pairs from ``/v1/kv/<key>``; an empty value is ``null`` there."""
    return [
        KvPair(
            entry["Key"],
            base64.b64decode(entry["Value"] or ""),
            entry["ModifyIndex"],
            entry.get("Session", ""),
            entry.get("CreateIndex", 0),
            entry.get("LockIndex", 0),
        )
        for entry in entries
    ]


def parse_session(entries: Sequence[Mapping[str, Any]]) -> Session | None:
    """The session of ``/v1/session/info/<id>``; a session that is gone is an empty list there."""
    if not entries:
        return None
    entry = entries[0]
    return Session(entry["ID"], entry["Name"], entry["Node"], go_duration.parse(entry["TTL"] or "0"), entry["Behavior"])

"""What the state file may hold: the same as what the API takes, whoever wrote the file.

A file may be damaged, of another version, or edited. What is no record stops the start, with the line; a record that
this version cannot serve is left out, with a warning: one bad value must not keep all others away.
"""

from __future__ import annotations

import base64
from collections.abc import Hashable, Mapping
from typing import Any

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.consul_server import go_json
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.structures import ROW_OPTIONS, ROWS

_OF_A_NODE = ("services", "checks")
# The fields that may be null.
_NULLS = ("TaggedAddresses", "Meta", "Value")
_MAX_INDEX = 2**62
TABLES = (*ROWS, "definitions")


def check_place(index: Any, table: Any, key: Hashable) -> None:
    """:raises ValueError: for an index, a table or a key that no record has."""
    if type(index) is not int or not 0 <= index < _MAX_INDEX:
        raise ValueError("its index is no number")
    if table not in TABLES:
        raise ValueError(f"there is no table {str(table)[:40]!r}")
    parts = key if table in _OF_A_NODE else (key,)
    if not isinstance(parts, tuple) or len(parts) != 1 + (table in _OF_A_NODE):
        raise ValueError("its key is none of its table")
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("its key is no text")


def read_row(table: str, key: Hashable, row: Any) -> dict[str, Any]:
    """A row as its table can have it. Definitions of checks are read by the agent.

    :raises ValueError: for another one, with the reason.
    """
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    if table == "definitions":
        return row
    absent = sorted(name for name in ROWS[table] if row.get(name) is None and (name not in row or name not in _NULLS))
    if absent:
        raise ValueError(f"it has no {', '.join(absent)}")
    known = {**ROWS[table], **ROW_OPTIONS.get(table, {})}
    given = {name: value for name, value in row.items() if name in known and value is not None}
    try:
        read = go_json.structure(given, known)
    except ConsulError as error:
        raise ValueError(error.text) from error
    if key != _key(table, key, row):
        raise ValueError("its key is another one")
    if table == "kv":
        base64.b64decode(row["Value"] or "", validate=True)
    elif table == "sessions":
        go_duration.parse(row["TTL"] or "0")
    return {**row, **{name: read[name] for name in given}}


def orphan(table: str, key: Hashable, tables: Mapping[str, Mapping[Any, Any]]) -> str:
    """Why a row cannot be served by itself: what it belongs to is not there. Empty when nothing is missing."""
    if table in _OF_A_NODE and isinstance(key, tuple) and key[0] not in tables["nodes"]:
        return f"its node {key[0]!r} is not there"
    service_id = tables[table][key].get("ServiceID") if table == "checks" else ""
    if service_id and isinstance(key, tuple) and (key[0], service_id) not in tables["services"]:
        return f"its service {service_id!r} is not there"
    return ""


def _key(table: str, key: Hashable, row: Mapping[str, Any]) -> Any:
    if table == "checks":
        return row["Node"], row["CheckID"]
    if table == "services":
        return isinstance(key, tuple) and (key[0], row["ID"])
    return row[{"nodes": "Node", "kv": "Key", "sessions": "ID"}[table]]

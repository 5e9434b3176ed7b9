"""The structures that requests hold: what each of their fields is, as Consul has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DURATION = "duration"
NANOSECONDS = "nanoseconds"
"""A duration in Go's own unit; None where it is not given."""
UINT = "uint64"
OBJECT = "object"
"""An object whose fields nobody here reads."""

STRINGS = "[]string"
STRING_MAP = "map[string]string"
HEADERS = "map[string][]string"
TEXTS = (STRINGS, STRING_MAP, HEADERS)


@dataclass(frozen=True)
class Struct:
    """A structure within a structure.

    :ivar fields: as those of :func:`~jenkins_proxy.consul_server.go_json.structure`.
    :ivar type: Go's name of it, for errors.
    """

    fields: Mapping[str, Kind]
    type: str


@dataclass(frozen=True)
class ListOf:
    """A list of structures."""

    item: Struct
    type: str


@dataclass(frozen=True)
class MapOf:
    """Structures by name."""

    item: Struct
    type: str


Kind = str | Struct | ListOf | MapOf
Fields = Mapping[str, Kind]

WEIGHTS: Fields = {"Passing": "int", "Warning": "int"}
CHECK: Fields = {
    "CheckID": "string",
    "ID": "string",
    "Name": "string",
    "Notes": "string",
    "Status": "string",
    "ServiceID": "string",
    "HTTP": "string",
    "Method": "string",
    "Header": HEADERS,
    "Body": "string",
    "TLSSkipVerify": "bool",
    "TCP": "string",
    "Interval": DURATION,
    "Timeout": DURATION,
    "TTL": DURATION,
    "DeregisterCriticalServiceAfter": DURATION,
    "SuccessBeforePassing": "int",
    "FailuresBeforeCritical": "int",
    "OutputMaxSize": "int",
    "Shell": "string",
    "Script": "string",
    "Args": STRINGS,
    "ScriptArgs": STRINGS,
    "DockerContainerID": "string",
    "GRPC": "string",
    "GRPCUseTLS": "bool",
    "AliasNode": "string",
    "AliasService": "string",
    "Token": "string",
    "Namespace": "string",
}
_PLACE = Struct({"Address": "string", "Port": "int"}, "structs.ServiceAddress")
SERVICE: Fields = {
    "ID": "string",
    "Name": "string",
    "Service": "string",
    "Tags": STRINGS,
    "Port": "int",
    "Address": "string",
    "Meta": STRING_MAP,
    "TaggedAddresses": MapOf(_PLACE, "map[string]structs.ServiceAddress"),
    "Weights": Struct(WEIGHTS, "structs.Weights"),
    "EnableTagOverride": "bool",
    "Kind": "string",
    "Token": "string",
    "Namespace": "string",
    "Check": Struct(CHECK, "structs.CheckType"),
    "Checks": ListOf(Struct(CHECK, "structs.CheckType"), "structs.CheckTypes"),
    "Proxy": OBJECT,
    "Connect": OBJECT,
}
SESSION: Fields = {
    "ID": "string",
    "Name": "string",
    "Node": "string",
    "LockDelay": NANOSECONDS,
    "Behavior": "string",
    "TTL": "string",
    "Checks": STRINGS,
    "NodeChecks": STRINGS,
    "ServiceChecks": ListOf(
        Struct({"ID": "string", "Namespace": "string"}, "structs.ServiceCheck"), "[]structs.ServiceCheck"
    ),
    "Namespace": "string",
}
CATALOG_CHECK: Fields = {
    **CHECK,
    "Node": "string",
    "Output": "string",
    "ServiceName": "string",
    "ServiceTags": STRINGS,
    "Type": "string",
    "Definition": OBJECT,
    "CreateIndex": "int",
    "ModifyIndex": "int",
}
_CATALOG_CHECK = Struct(CATALOG_CHECK, "structs.HealthCheck")
CATALOG: Fields = {
    "ID": "string",
    "Node": "string",
    "Address": "string",
    "Datacenter": "string",
    "TaggedAddresses": STRING_MAP,
    "NodeMeta": STRING_MAP,
    "Service": Struct(SERVICE, "structs.NodeService"),
    "Check": _CATALOG_CHECK,
    "Checks": ListOf(_CATALOG_CHECK, "structs.HealthChecks"),
    "SkipNodeUpdate": "bool",
    "ServiceID": "string",
    "CheckID": "string",
    "Namespace": "string",
}

_INDEXES: Fields = {"CreateIndex": "int", "ModifyIndex": "int"}
_ROW: Mapping[str, Fields] = {
    "nodes": {
        "ID": "string",
        "Node": "string",
        "Address": "string",
        "Datacenter": "string",
        "TaggedAddresses": STRING_MAP,
        "Meta": STRING_MAP,
    },
    "services": {
        "ID": "string",
        "Service": "string",
        "Tags": STRINGS,
        "Address": "string",
        "Meta": STRING_MAP,
        "Port": "int",
        "Weights": Struct(WEIGHTS, "structs.Weights"),
        "EnableTagOverride": "bool",
        "Proxy": OBJECT,
        "Connect": OBJECT,
    },
    "checks": {
        "Node": "string",
        "CheckID": "string",
        "Name": "string",
        "Status": "string",
        "Notes": "string",
        "Output": "string",
        "ServiceID": "string",
        "ServiceName": "string",
        "ServiceTags": STRINGS,
        "Type": "string",
        "Definition": OBJECT,
    },
    "kv": {"Key": "string", "Value": "string", "Flags": UINT, "LockIndex": "int"},
    "sessions": {
        "ID": "string",
        "Name": "string",
        "Node": "string",
        "LockDelay": "int",
        "Behavior": "string",
        "TTL": "string",
        "NodeChecks": STRINGS,
    },
}
ROWS: Mapping[str, Fields] = {table: {**fields, **_INDEXES} for table, fields in _ROW.items()}
"""The fields that a row of each table has, as it is kept."""
ROW_OPTIONS: Mapping[str, Fields] = {
    "services": {"TaggedAddresses": SERVICE["TaggedAddresses"]},
    "kv": {"Session": "string"},
}
"""Those that it may have."""

"""Requests' JSON as Go reads it into Consul's structures: any case, known fields only, durations as text or number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.consul_server.errors import ConsulError

DURATION = "duration"
ANY = "any"

_STRINGS = "[]string"
_STRING_MAP = "map[string]string"

WEIGHTS = {"Passing": "int", "Warning": "int"}
CHECK = {
    "CheckID": "string",
    "ID": "string",
    "Name": "string",
    "Notes": "string",
    "Status": "string",
    "ServiceID": "string",
    "HTTP": "string",
    "Method": "string",
    "Header": ANY,
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
    "Args": _STRINGS,
    "ScriptArgs": _STRINGS,
    "DockerContainerID": "string",
    "GRPC": "string",
    "GRPCUseTLS": "bool",
    "AliasNode": "string",
    "AliasService": "string",
    "Token": "string",
    "Namespace": "string",
}
SERVICE = {
    "ID": "string",
    "Name": "string",
    "Service": "string",
    "Tags": _STRINGS,
    "Port": "int",
    "Address": "string",
    "Meta": _STRING_MAP,
    "TaggedAddresses": ANY,
    "Weights": ANY,
    "EnableTagOverride": "bool",
    "Kind": "string",
    "Token": "string",
    "Namespace": "string",
    "Check": ANY,
    "Checks": ANY,
    "Proxy": ANY,
    "Connect": ANY,
}
SESSION = {
    "ID": "string",
    "Name": "string",
    "Node": "string",
    "LockDelay": ANY,
    "Behavior": "string",
    "TTL": "string",
    "Checks": ANY,
    "NodeChecks": ANY,
    "ServiceChecks": ANY,
    "Namespace": "string",
}
CATALOG = {
    "ID": "string",
    "Node": "string",
    "Address": "string",
    "Datacenter": "string",
    "TaggedAddresses": ANY,
    "NodeMeta": ANY,
    "Service": ANY,
    "Check": ANY,
    "Checks": ANY,
    "SkipNodeUpdate": "bool",
    "ServiceID": "string",
    "CheckID": "string",
    "Namespace": "string",
}
CATALOG_CHECK = {
    **CHECK,
    "Node": "string",
    "Output": "string",
    "ServiceName": "string",
    "ServiceTags": _STRINGS,
    "Type": "string",
    "Definition": ANY,
}

# json reads both halves of a character beyond U+FFFF as one; what is left are halves that no UTF-8 can carry.
_HALF = re.compile("[\ud800-\udfff]")
_EMPTY: Mapping[str, Any] = {"string": "", "int": 0, "bool": False, DURATION: 0.0}
_PYTHON = {"string": str, "int": int, "bool": bool, _STRINGS: list, _STRING_MAP: dict}


def body(data: bytes, fields: Mapping[str, str], *, strict: bool = True) -> dict[str, Any]:
    """A request's body as a complete structure: missing fields are Go's zero values, durations are seconds.

    :param strict: refuse unknown fields, as nearly all calls of Consul do.
    :raises ConsulError: 400, for what Consul refuses too.
    """
    try:
        value = _whole(json.loads(data))
    except ValueError as error:
        raise _failed("EOF" if not data else "unexpected EOF" if "Expecting" in str(error) else str(error)) from error
    if not isinstance(value, dict):
        raise _failed("json: cannot unmarshal value into Go value of type struct")
    return structure(value, fields, strict=strict)


def structure(value: Mapping[str, Any], fields: Mapping[str, str], *, strict: bool = True) -> dict[str, Any]:
    """As :func:`body`, for an object inside of one."""
    names = {_plain(name): name for name in fields}
    result = {name: _EMPTY.get(kind) for name, kind in fields.items()}
    for given, item in value.items():
        name = names.get(_plain(given))
        if name is None and strict:
            raise _failed(f'json: unknown field "{given}"')
        if name is not None and item is not None:
            result[name] = _typed(name, fields[name], item)
    return result


def nanoseconds(value: Any) -> int:
    """A duration as text or as a number, in Go's own unit."""
    return round(_seconds(value) * 1e9)


def _whole(value: Any) -> Any:
    """JSON with U+FFFD for each half of a character, as Go's decoder gives it."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind == ANY:
        return value
    if kind == DURATION:
        return _seconds(value)
    good = isinstance(value, _PYTHON[kind]) and (kind != "int" or not isinstance(value, bool))
    if good and kind in (_STRINGS, _STRING_MAP):
        good = all(isinstance(item, str) for item in (value.values() if kind == _STRING_MAP else value))
    if not good:
        raise _failed(f"json: cannot unmarshal {_go_kind(value)} into Go struct field .{name} of type {kind}")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        try:
            return go_duration.parse(value) if value else 0.0
        except ValueError as error:
            raise _failed(str(error)) from error
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value / 1e9
    raise _failed(f"json: cannot unmarshal {_go_kind(value)} into Go value of type time.Duration")


def _go_kind(value: Any) -> str:
    kinds = ((bool, "bool"), ((int, float), "number"), (str, "string"), (list, "array"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "object")


def _failed(text: str) -> ConsulError:
    return ConsulError(400, f"Request decode failed: {text}")

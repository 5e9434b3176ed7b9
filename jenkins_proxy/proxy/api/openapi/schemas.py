"""The JSON of the API as schemas. What a dataclass says already comes from the dataclass."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.access.audit import AuditEntry
from jenkins_proxy.proxy.access.callers import CERTIFICATE, TOKEN, Role
from jenkins_proxy.proxy.events import Event
from jenkins_proxy.proxy.holds import MAX_SECONDS, Holder, Phase
from jenkins_proxy.proxy.models import InstanceState, Progress
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic
from jenkins_proxy.releases import Release

Schema = dict[str, Any]

_SIMPLE: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
    Mapping[str, int]: {"type": "object", "additionalProperties": {"type": "integer"}},
    Address | None: {"type": ["string", "null"]},
}
_TEXT = _SIMPLE[str]
_FLAG = _SIMPLE[bool]
_INTEGER = _SIMPLE[int]
_NUMBER = _SIMPLE[float]
_TEXTS = _SIMPLE[tuple[str, ...]]


def reference(name: str) -> Schema:
    """A schema by its name in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


@functools.cache
def body_fields(name: str) -> tuple[str, ...]:
    """The fields of a call's body.

    :param name: of its schema.
    """
    return tuple(schemas()[name]["properties"])


def schemas() -> dict[str, Schema]:
    """All schemas by name."""
    route = _of_dataclass(Route)
    event = _of_dataclass(Event)
    return {
        "Error": _object({"error": _object({"message": _TEXT, "hint": _TEXT})}),
        "Route": route,
        # The service stands in the URL, and every other field has a default.
        "RouteBody": {**route, "required": [], "anyOf": [{"required": [name]} for name in _LEADING]},
        "Instance": _object(
            {
                "address": _TEXT,
                "port": _INTEGER,
                "id": _TEXT,
                "node": _TEXT,
                "status": {"enum": ["passing", "warning", "critical"]},
                "checked": _FLAG,
                "output": _TEXT,
                "serving": _FLAG,
                "draining": _FLAG,
                "state": {"enum": [str(state) for state in InstanceState]},
                "waiting_seconds": _NUMBER,
            }
        ),
        "Hold": _object(_HOLD),
        "HoldState": _object({**_HOLD, **_PROGRESS}, optional=tuple(_HOLD)),
        "HoldBody": _object(
            {
                "route": reference("RouteBody"),
                "key_sha256": {**_TEXT, "pattern": "^[0-9a-f]{64}$"},
                "timeout": {**_NUMBER, "minimum": 0, "maximum": MAX_SECONDS},
                "holder": reference("Holder"),
                "replace": _HOLD_ID,
                "before": _ADDRESS_LIST,
            },
            optional=("timeout", "replace", "before"),
        ),
        "Holder": _of_dataclass(Holder),
        "PromoteBody": _object(
            {
                "id": _HOLD_ID,
                **_ADDRESSES,
                "keep": _ADDRESS_LIST,
                "timeout": {**_NUMBER, "minimum": 0, "maximum": 300},
            },
            optional=("keep", "timeout"),
        ),
        "HoldName": _object({"id": _HOLD_ID}),
        "RouteState": _object(_ROUTE_STATE, optional=("probe", "diff", "hold", "proxies", "cut")),
        "RouteList": _object({"version": _INTEGER, "routes": _list("RouteState")}),
        "Removal": _object(
            {"service": _TEXT, "removed": _FLAG, "diff": _TEXT, "proxies": _PROXIES}, optional=("diff", "proxies")
        ),
        "Addresses": _object(_ADDRESSES),
        "DrainBody": _object(
            {**_ADDRESSES, "timeout": _seconds(30), "stream_timeout": _seconds(5)}, ("timeout", "stream_timeout")
        ),
        "CountBody": _object({"id": {**_TEXT, "pattern": "^[A-Za-z0-9._-]{1,64}$"}}),
        "UserCounts": _object({"users": _object(_USERS)}),
        "Certificate": _object(_CERTIFICATE, optional=_CERTIFICATE_READ),
        "CertificateList": _object({"certificates": _list("Certificate")}),
        "CertificateState": _object({**_CERTIFICATE, "applied": {"enum": ["reload", "runtime", "none"]}}),
        "CertificateRemoval": _object({"name": _TEXT, "removed": _FLAG}),
        "DockerFlowCertificates": _object(
            {"Status": _TEXT, "Message": _TEXT, "Certs": {"type": ["array", "null"], "items": {"type": "object"}}}
        ),
        "Health": _object(_HEALTH),
        "Event": event,
        "Traffic": _of_dataclass(Traffic),
        "State": _state(event),
        "Access": _object(
            {
                "name": _TEXT,
                "credential": {"enum": [TOKEN, CERTIFICATE, ""]},
                "role": {"enum": [str(role) for role in Role]},
            }
        ),
        "Audit": _object({"changes": {"type": "array", "items": reference("AuditEntry")}}),
        "AuditEntry": _of_dataclass(AuditEntry),
        "Release": _of_dataclass(Release),
        "ReleaseList": _object({"service": _TEXT, "releases": _list("Release")}),
        "DockerFlowAnswer": _docker_flow_answer(),
    }


_LEADING = ("paths", "domains", "is_default_backend", "req_mode")
"""The fields of which one at the least leads somewhere."""
_DOCKER_FLOW_TEXTS = (
    "Message",
    "ServiceName",
    "AclName",
    "ServiceColor",
    "ServiceCert",
    "OutboundHostname",
    "ConsulTemplateFePath",
    "ConsulTemplateBePath",
    "PathType",
    "Mode",
    "ReqRepSearch",
    "ReqRepReplace",
    "ReqPathSearch",
    "ReqPathReplace",
    "TemplateFePath",
    "TemplateBePath",
)
_ADDRESSES = {"addresses": {"type": "array", "minItems": 1, "items": {**_TEXT, "examples": ["10.0.0.1:32768"]}}}
_PROXIES = {"type": "object", "additionalProperties": {"enum": [str(progress) for progress in Progress]}}
_ADDRESS_LIST = {"type": "array", "items": {**_TEXT, "examples": ["10.0.0.1:32768"]}}
_HOLD_ID = {**_TEXT, "pattern": "^[0-9a-f]{8}$"}
_HOLD: dict[str, Schema] = {
    "id": _HOLD_ID,
    "route": reference("Route"),
    "before": _ADDRESS_LIST,
    "serving": _ADDRESS_LIST,
    "phase": {"enum": [str(phase) for phase in Phase]},
    "since": _NUMBER,
    "until": _NUMBER,
    "holder": reference("Holder"),
}
_PROGRESS: dict[str, Schema] = {
    "held": _FLAG,
    "proxies": _PROXIES,
    "applied": {"enum": ["reload", "runtime", "none"]},
    "seconds": _NUMBER,
}
_USERS: dict[str, Schema] = {
    "requests": _INTEGER,
    "failed": _INTEGER,
    "p99_ms": {"type": ["number", "null"]},
    "exact": _FLAG,
}
_CERTIFICATE: dict[str, Schema] = {
    "name": _TEXT,
    "source": _TEXT,
    "problem": _TEXT,
    "subject": _TEXT,
    "issuer": _TEXT,
    "names": _TEXTS,
    "not_before": _TEXT,
    "not_after": _TEXT,
    "days_left": _INTEGER,
    "fingerprint": _TEXT,
    "default": _FLAG,
}
_CERTIFICATE_READ = tuple(name for name in _CERTIFICATE if name not in ("name", "source", "problem"))
_HEALTH: dict[str, Schema] = {
    "status": {"enum": ["serving", "not serving"]},
    "version": _INTEGER,
    "routes": _INTEGER,
    "registry": {
        "type": "object",
        "properties": {"up": _FLAG, "lost_since": {"type": ["number", "null"]}},
        "required": ["up", "lost_since"],
        "additionalProperties": False,
    },
    "problem": _TEXT,
}
_ROUTE_STATE: dict[str, Schema] = {
    "service": _TEXT,
    "route": reference("Route"),
    "version": _INTEGER,
    "instances": {"type": "array", "items": reference("Instance")},
    "applied": {"enum": ["reload", "runtime", "none"]},
    "timings": {"type": "object", "additionalProperties": _NUMBER},
    "refused": _TEXT,
    "hold": reference("Hold"),
    "probe": {
        "type": "object",
        "properties": {"header": _TEXT, "key": _TEXT},
        "required": ["header", "key"],
        "additionalProperties": False,
    },
    "diff": _TEXT,
    "proxies": _PROXIES,
    "cut": _INTEGER,
}


def _state(event: Schema) -> Schema:
    """What the page shows."""
    service = {**_ROUTE_STATE, "trouble": _FLAG, "traffic": reference("Traffic")}
    totals = ("services", "trouble", "instances", "serving", "rate", "sessions", "errors")
    about = {"version": _TEXT, "now": _NUMBER, "registry": _TEXT, "embedded": _FLAG, "entry": _TEXT}
    return _object(
        {
            **_HEALTH,
            "totals": _object(dict.fromkeys(totals, _INTEGER)),
            "matching": _INTEGER,
            "services": {
                "type": "array",
                "items": _object(service, optional=("probe", "diff", "hold", "proxies", "cut")),
            },
            "about": _object(about),
            "certificates": _list("Certificate"),
            "events": {"type": "array", "items": _object({"id": _TEXT, **event["properties"]})},
            "position": _TEXT,
        }
    )


def _docker_flow_answer() -> Schema:
    """Docker Flow: Proxy's own fields."""
    nullable = {"type": ["array", "null"], "items": _TEXT}
    destination = _object({"Port": _TEXT, "Path": nullable, "SrcPort": _INTEGER})
    return _object(
        {
            "Status": {"enum": ["OK", "NOK"]},
            **dict.fromkeys(_DOCKER_FLOW_TEXTS, _TEXT),
            "ServiceDomain": nullable,
            "SkipCheck": _FLAG,
            "HttpsPort": _INTEGER,
            "Distribute": _FLAG,
            "Users": nullable,
            "ServiceDest": {"type": "array", "items": destination},
        }
    )


def _of_dataclass(kind: type[Any]) -> Schema:
    """The fields of a dataclass; those without a default are required."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    properties = {field.name: _with_default(_SIMPLE[hints[field.name]], field) for field in fields}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _with_default(schema: Schema, field: dataclasses.Field[Any]) -> Schema:
    if field.default is dataclasses.MISSING:
        return schema
    return {**schema, "default": list(field.default) if isinstance(field.default, tuple) else field.default}


def _object(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object with these properties and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(name: str) -> Schema:
    return {"type": "array", "items": reference(name)}


def _seconds(default: float) -> Schema:
    return {**_NUMBER, "minimum": 0, "maximum": 3600, "default": default}

"""Docker Flow: Proxy's reconfigure and remove calls: their query parameters in, their JSON out. Pure.

The parameters are those of its Consul era (vfarcic/docker-flow-proxy, end of 2016: server.go, actions/reconfigure.go,
README.md). Three deliberate differences: every value meets a grammar; what would widen or narrow the access to a
service and is not supported is refused instead of ignored; errors are ``application/json`` like the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.api.params import FALSE, Query, wait_seconds
from jenkins_proxy.route_options import DOCKER_FLOW_WORDS, OPTIONS, Kind, RouteOption, check_route

MANDATORY = (
    "The following queries are mandatory: (serviceName and servicePath) or "
    "(serviceName, consulTemplateFePath, and consulTemplateBePath)"
)
NAME_MANDATORY = "The serviceName query is mandatory"

_TEMPLATE = "a template would put raw text into HAProxy's configuration"
_AUTH = "it would restrict who reaches the service, and jenkins-proxy cannot; serving it open instead would be wrong"
_TLS = "jenkins-proxy does not terminate TLS yet"
_MODE = "only HTTP services of the registry are routed"
REFUSED = {
    **dict.fromkeys(
        ("consulTemplateFePath", "consulTemplateBePath", "templateFePath", "templateBePath", "backendExtra"), _TEMPLATE
    ),
    **dict.fromkeys(
        (
            "users",
            "usersSecret",
            "usersPassEncrypted",
            "ignoreAuthorization",
            "allowedMethods",
            "deniedMethods",
            "denyHttp",
            "servicePathExclude",
            "serviceHeader",
            "userAgent",
            "verifyClientSsl",
        ),
        _AUTH,
    ),
    **dict.fromkeys(("httpsPort", "srcHttpsPort", "httpsOnly", "sslVerifyNone"), _TLS),
    **dict.fromkeys(("reqMode", "srcPort", "isDefaultBackend"), _MODE),
    **dict.fromkeys(("reqRepSearch", "reqRepReplace", "reqPathSearchReplace"), "use reqPathSearch and reqPathReplace"),
}
# What a caller who means "the default" may send along with a refused name.
_HARMLESS = ("", "http", *FALSE)
_OPTIONS = tuple(option for option in OPTIONS if option.docker_flow)
_KNOWN = {
    *(option.docker_flow for option in _OPTIONS),
    *REFUSED,
    *("port", "mode", "distribute", "wait", "allowEmpty", "dryRun", "serviceCert"),
}
_MAX_DESTINATIONS = 10


@dataclass(frozen=True)
class Reconfigure:
    """A call of ``reconfigure``, parsed.

    :ivar echo: what the answer repeats of the call.
    :ivar ignored: the parameters that mean nothing here.
    :ivar wait: seconds to wait for a first instance.
    :ivar certificate: PEM with its key, which users of the service meet; empty: none is given. It is in no answer.
    """

    route: Route
    echo: Mapping[str, Any]
    ignored: tuple[str, ...]
    wait: float
    allow_empty: bool
    dry_run: bool
    certificate: str = field(default="", repr=False)


def parse_reconfigure(query: Query) -> Reconfigure:
    """Read a call of ``reconfigure``.

    :raises UsageError: with Docker Flow: Proxy's own text where it had one.
    """
    for name, reason in REFUSED.items():
        if name in query and query.text(name) not in _HARMLESS:
            raise UsageError(f"{name} is not supported: {reason}")
    values = {option.name: _value(query, option) for option in _OPTIONS}
    values["paths"] += _indexed_paths(query)
    values["outbound_hostname"] = _outbound(query)
    if not values["service"] or not (values["paths"] or values["domains"]):
        raise UsageError(MANDATORY)
    route = Route(**values)
    check_route(route, DOCKER_FLOW_WORDS)
    return Reconfigure(
        route,
        echo=echo(query),
        ignored=_ignored(query),
        wait=wait_seconds(query),
        allow_empty=query.flag("allowEmpty"),
        dry_run=query.flag("dryRun"),
        # A URL has no line ends: Docker Flow: Proxy reads them from the two signs.
        certificate=query.text("serviceCert").replace("\\n", "\n"),
    )


def parse_remove(query: Query) -> str:
    """The service of a call of ``remove``. :raises UsageError: without one."""
    name = query.text("serviceName")
    if not name:
        raise UsageError(NAME_MANDATORY)
    return validation.check_service(name, "serviceName")


def answer(message: str = "", *, good: bool = True, echo: Mapping[str, Any] | None = None) -> str:
    """The JSON of the end of 2016, byte for byte: Go's field names, order, zero values and escapes.

    :param message: for people.
    :param echo: the fields to repeat from the call.
    """
    fields = {
        "Status": "OK" if good else "NOK",
        "Message": message,
        "ServiceName": "",
        "AclName": "",
        "ServiceColor": "",
        "ServiceDomain": None,
        "ServiceCert": "",
        "OutboundHostname": "",
        "ConsulTemplateFePath": "",
        "ConsulTemplateBePath": "",
        "PathType": "",
        "SkipCheck": False,
        "Mode": "",
        "HttpsPort": 0,
        "Distribute": False,
        "Users": None,
        "ReqRepSearch": "",
        "ReqRepReplace": "",
        "ReqPathSearch": "",
        "ReqPathReplace": "",
        "TemplateFePath": "",
        "TemplateBePath": "",
        "ServiceDest": [{"Port": "", "Path": None, "SrcPort": 0}],
    }
    fields.update(echo or {})
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    # encoding/json keeps these three out of HTML, and so do we: the answer may be looked at in a browser.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _value(query: Query, option: RouteOption) -> Any:
    """The value of one field of the route; its default where the parameter is missing or empty."""
    if option.kind is Kind.LIST:
        return query.list(option.docker_flow)
    if option.kind is Kind.FLAG:
        return query.flag(option.docker_flow)
    text = query.text(option.docker_flow)
    return option.parse(text) if text else option.default


def _indexed_paths(query: Query) -> tuple[str, ...]:
    """The paths of ``servicePath.1`` to ``.10``, up to the first gap."""
    result: tuple[str, ...] = ()
    for number in range(1, _MAX_DESTINATIONS + 1):
        paths = query.list(f"servicePath.{number}")
        if not paths:
            break
        result += paths
    return result


def _outbound(query: Query) -> str:
    """``outboundHostname``, with the port from ``port`` where it has none."""
    host, port = query.text("outboundHostname"), query.text("port")
    return f"{host}:{port}" if host and port and ":" not in host else host


def _ignored(query: Query) -> tuple[str, ...]:
    known = {*_KNOWN, *(f"servicePath.{number}" for number in range(1, _MAX_DESTINATIONS + 1))}
    # The registry knows each instance's port; only an outbound host needs one.
    without_meaning = {"mode"} if query.text("outboundHostname") else {"mode", "port"}
    return tuple(name[:40] for name in query if name not in known or (name in without_meaning and query.text(name)))


def echo(query: Query) -> dict[str, Any]:
    """What the answer repeats of a call: its parameters, without defaults.

    :raises UsageError: when a flag is neither true nor false, or a parameter is given twice.
    """
    paths = query.list("servicePath") + _indexed_paths(query)
    return {
        **{option.docker_flow_answer: _repeated(query, option) for option in _OPTIONS if option.docker_flow_answer},
        "Mode": query.text("mode"),
        "Distribute": query.flag("distribute"),
        "ServiceDest": [{"Port": query.text("port"), "Path": list(paths) or None, "SrcPort": 0}],
    }


def _repeated(query: Query, option: RouteOption) -> Any:
    if option.kind is Kind.LIST:
        return list(query.list(option.docker_flow)) or None
    return query.flag(option.docker_flow) if option.kind is Kind.FLAG else query.text(option.docker_flow)

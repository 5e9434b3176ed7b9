"""Docker Flow: Proxy's reconfigure and remove calls: their query parameters in, their JSON out. Pure.

The parameters are those of its Consul era (vfarcic/docker-flow-proxy, end of 2016: server.go, actions/reconfigure.go,
README.md). Three deliberate differences: every value meets a grammar; what would widen or narrow the access to a
service and is not supported is refused instead of ignored; errors are ``application/json`` like the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.api.params import wait_seconds
from jenkins_proxy.route_options import docker_flow
from jenkins_proxy.route_options.option import Kind, RouteOption
from jenkins_proxy.route_options.passwords import sha512_hash
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.route_options.table import DOCKER_FLOW_WORDS, OPTIONS, check_route

MANDATORY = (
    "The following queries are mandatory: (serviceName and servicePath) or "
    "(serviceName, consulTemplateFePath, and consulTemplateBePath)"
)
NAME_MANDATORY = "The serviceName query is mandatory"


def no_secret(name: str) -> str:
    """Where there are no secrets. :raises UsageError: always."""
    raise UsageError(f"usersSecret {name[:40]!r}: there is no such secret")


_OPTIONS = tuple(option for option in OPTIONS if option.docker_flow)
PARAMETERS = frozenset(
    {
        *(name for option in _OPTIONS for name in (option.docker_flow, option.docker_flow_old) if name),
        *docker_flow.REFUSED,
        *docker_flow.USERS_WORDS,
        docker_flow.MATCH_ALL,
        *("port", "mode", "distribute", "wait", "allowEmpty", "dryRun", "takeOver", "serviceCert"),
    }
)
"""Those that are known, without their indexes."""


@dataclass(frozen=True)
class Reconfigure:
    """A call of ``reconfigure``, parsed.

    :ivar service: the name in the call.
    :ivar routes: one, or one for each destination that differs from the others in more than its paths.
    :ivar echo: what the answer repeats of the call.
    :ivar ignored: the parameters that mean nothing here.
    :ivar wait: seconds to wait for a first instance.
    :ivar certificate: PEM with its key, which users of the service meet; empty: none is given. It is in no answer.
    :ivar take_over: whether paths and domains are taken from the routes of other services.
    """

    service: str
    routes: tuple[Route, ...]
    echo: Mapping[str, Any]
    ignored: tuple[str, ...]
    wait: float
    allow_empty: bool
    dry_run: bool
    take_over: bool
    certificate: str = field(default="", repr=False)


def parse_reconfigure(
    query: Query,
    secret: Callable[[str], str] = no_secret,
    separator: str = ",",
    users: Iterable[str] = (),
) -> Reconfigure:
    """Read a call of ``reconfigure``.

    :param secret: the text of the file of users that ``usersSecret`` names.
    :param separator: what stands between the items of a list.
    :param users: ``name:hash`` of those of all services, whose passwords may be left out.
    :raises UsageError: with Docker Flow: Proxy's own text where it had one.
    """
    shared = dict(user.split(":", 1) for user in users)
    found = docker_flow.fields(query, _OPTIONS, sha512_hash, secret, separator, shared=shared)
    if not query.text("serviceName") or not all(map(_leads_somewhere, found)):
        raise UsageError(MANDATORY)
    routes = tuple(Route(**values) for values in found)
    for route in routes:
        check_route(route, DOCKER_FLOW_WORDS)
    return Reconfigure(
        query.text("serviceName"),
        routes,
        echo=echo(query),
        ignored=_ignored(query),
        wait=wait_seconds(query),
        allow_empty=query.flag("allowEmpty"),
        take_over=query.flag("takeOver"),
        dry_run=query.flag("dryRun"),
        # A URL has no line ends: Docker Flow: Proxy reads them from the two signs.
        certificate=query.text("serviceCert").replace("\\n", "\n"),
    )


_OF_A_SERVICE = {
    *("ServiceName", "AclName", "ServiceColor", "SkipCheck", "IsDefaultBackend", "ServiceDomainAlgo", "SessionType"),
    *("ReqPathSearch", "ReqPathReplace", "CompressionAlgo", "CompressionType"),
    *("RedirectWhenHttpProto", "RedirectUnlessHttpsProto", "Users"),
    *(f"{verb}{side}Header" for verb in ("Add", "Set", "Del") for side in ("Req", "Res")),
}
"""The fields that its last version has once for a service; the others stand in each destination."""


def services(routes: Iterable[Route]) -> dict[str, Any]:
    """Routes as ``config?type=json`` of the last version lists its services: by name, with Go's field names."""
    return {route.service: _service(route) for route in sorted(routes, key=lambda route: route.service)}


def _service(route: Route) -> dict[str, Any]:
    fields = {f"{o.docker_flow[0].upper()}{o.docker_flow[1:]}": _go_value(route, o) for o in _OPTIONS}
    place = {"Port": "", **{name: value for name, value in fields.items() if name not in _OF_A_SERVICE}}
    return {**{name: value for name, value in fields.items() if name in _OF_A_SERVICE}, "ServiceDest": [place]}


def _go_value(route: Route, option: RouteOption) -> Any:
    value = getattr(route, option.name)
    match option.name:
        case "users":
            pairs = (user.partition(":") for user in value)
            value = [{"Username": name, "Password": hashed, "PassEncrypted": True} for name, _, hashed in pairs] or None
        case "service_header":
            value = dict(header.split(":", 1) for header in value)
        case "user_agent":
            value = {"Value": list(value), "AclName": "_".join(value)}
        case "compression_type":
            value = " ".join(value)
        case "src_port":
            value = int(value or 0)
        case _ if option.kind is Kind.SECONDS:
            value = f"{value:g}" if value else ""
        case _ if option.kind is Kind.LIST:
            value = list(value) or None
    return value


def _leads_somewhere(values: Mapping[str, Any]) -> bool:
    return bool(values["paths"] or values["domains"] or values["req_mode"] in ("tcp", "sni"))


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


def _ignored(query: Query) -> tuple[str, ...]:
    # The registry knows each instance's port; only an outbound host needs one.
    outbound = any(docker_flow.unindexed(name) == "outboundHostname" and query.text(name) for name in query)
    # But where destinations are told apart by it, it names their services.
    several = len(docker_flow.destinations(query)) > 1
    without_meaning = {"mode"} if outbound or several else {"mode", "port"}
    return tuple(
        name[:40]
        for name in query
        if (known := docker_flow.unindexed(name)) not in PARAMETERS or (known in without_meaning and query.text(name))
    )


def echo(query: Query) -> dict[str, Any]:
    """What the answer repeats of a call: its parameters, without defaults.

    :raises UsageError: when a flag is neither true nor false, or a parameter is given twice.
    """
    return {
        **{option.docker_flow_answer: _repeated(query, option) for option in _OPTIONS if option.docker_flow_answer},
        "Mode": query.text("mode"),
        "Distribute": query.flag("distribute"),
        "ServiceDest": [_destination(query, index) for index in docker_flow.destinations(query)],
    }


def _destination(query: Query, index: int) -> dict[str, Any]:
    """A destination as the answer repeats it; what has no index is the default."""
    own = f".{index}" if index else ""
    port = query.text(f"srcPort{own}") or query.text("srcPort")
    return {
        "Port": query.text(f"port{own}") or query.text("port"),
        "Path": list(query.list(f"servicePath{own}") or query.list("servicePath")) or None,
        "SrcPort": int(port) if port.isascii() and port.isdecimal() else 0,
    }


def _repeated(query: Query, option: RouteOption) -> Any:
    if option.kind is Kind.LIST:
        return list(query.list(option.docker_flow)) or None
    return query.flag(option.docker_flow) if option.kind is Kind.FLAG else query.text(option.docker_flow)

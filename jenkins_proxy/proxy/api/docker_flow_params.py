"""Docker Flow: Proxy's reconfigure and remove calls: their query parameters in, their JSON out. Pure.

The parameters are those of its Consul era (vfarcic/docker-flow-proxy, end of 2016: server.go, actions/reconfigure.go,
README.md). Three deliberate differences: every value meets a grammar; what would widen or narrow the access to a
service and cannot be honoured is refused instead of passed over; errors are ``application/json`` like the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.api.params import FALSE, Query, wait_seconds

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
    **dict.fromkeys(("serviceCert", "httpsPort", "srcHttpsPort", "httpsOnly", "sslVerifyNone"), _TLS),
    **dict.fromkeys(("reqMode", "srcPort", "isDefaultBackend"), _MODE),
    **dict.fromkeys(("reqRepSearch", "reqRepReplace", "reqPathSearchReplace"), "use reqPathSearch and reqPathReplace"),
}
# What a caller who means "the default" may send along with a refused name.
_HARMLESS = ("", "http", *FALSE)
_WORDS = {
    "service": "serviceName",
    "paths": "servicePath",
    "domains": "serviceDomain",
    "path_type": "pathType",
    "color": "serviceColor",
    "acl_name": "aclName",
    "skip_check": "skipCheck",
    "outbound_hostname": "outboundHostname",
    "req_path_search": "reqPathSearch",
    "req_path_replace": "reqPathReplace",
}
_KNOWN = {*_WORDS.values(), *REFUSED, "port", "mode", "distribute", "wait", "allowEmpty", "dryRun"}
_MOST_DESTINATIONS = 10


@dataclass(frozen=True)
class Reconfigure:
    """A call of ``reconfigure``, understood.

    :ivar echo: what the answer repeats of the call.
    :ivar ignored: the parameters that mean nothing here.
    :ivar wait: seconds to wait for a first instance.
    """

    route: Route
    echo: Mapping[str, Any]
    ignored: tuple[str, ...]
    wait: float
    allow_empty: bool
    dry_run: bool


def parse_reconfigure(query: Query) -> Reconfigure:
    """Read a call of ``reconfigure``.

    :raises UsageError: with Docker Flow: Proxy's own text where it had one.
    """
    for name, reason in REFUSED.items():
        if name in query and query.text(name) not in _HARMLESS:
            raise UsageError(f"{name} is not supported: {reason}")
    paths = query.list("servicePath") + _indexed_paths(query)
    domains = query.list("serviceDomain")
    if not query.text("serviceName") or not (paths or domains):
        raise UsageError(MANDATORY)
    route = Route(
        service=query.text("serviceName"),
        paths=paths,
        domains=domains,
        path_type=query.text("pathType") or Route.path_type,
        color=query.text("serviceColor"),
        acl_name=query.text("aclName"),
        skip_check=query.flag("skipCheck"),
        req_path_search=query.text("reqPathSearch"),
        req_path_replace=query.text("reqPathReplace"),
        outbound_hostname=_outbound(query),
    )
    validation.check_route(route, _WORDS)
    return Reconfigure(
        route,
        echo=echo(query),
        ignored=_ignored(query),
        wait=wait_seconds(query),
        allow_empty=query.flag("allowEmpty"),
        dry_run=query.flag("dryRun"),
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


def _indexed_paths(query: Query) -> tuple[str, ...]:
    """``servicePath.1`` to ``.10``, up to the first gap."""
    found: tuple[str, ...] = ()
    for number in range(1, _MOST_DESTINATIONS + 1):
        paths = query.list(f"servicePath.{number}")
        if not paths:
            break
        found += paths
    return found


def _outbound(query: Query) -> str:
    """``outboundHostname`` with the port that may stand in ``port``."""
    host, port = query.text("outboundHostname"), query.text("port")
    return f"{host}:{port}" if host and port and ":" not in host else host


def _ignored(query: Query) -> tuple[str, ...]:
    known = {*_KNOWN, *(f"servicePath.{number}" for number in range(1, _MOST_DESTINATIONS + 1))}
    # The registry knows each instance's port; only an outbound host needs one.
    without_meaning = {"mode"} if query.text("outboundHostname") else {"mode", "port"}
    return tuple(name[:40] for name in query if name not in known or (name in without_meaning and query.text(name)))


def echo(query: Query) -> dict[str, Any]:
    """What was asked, defaults not filled in. :raises UsageError: when a value is none."""
    paths, domains = query.list("servicePath") + _indexed_paths(query), query.list("serviceDomain")
    texts = {
        "ServiceName": "serviceName",
        "AclName": "aclName",
        "ServiceColor": "serviceColor",
        "PathType": "pathType",
        "OutboundHostname": "outboundHostname",
        "Mode": "mode",
        "ReqPathSearch": "reqPathSearch",
        "ReqPathReplace": "reqPathReplace",
    }
    return {
        **{field: query.text(name) for field, name in texts.items()},
        "ServiceDomain": list(domains) or None,
        "SkipCheck": query.flag("skipCheck"),
        "Distribute": query.flag("distribute"),
        "ServiceDest": [{"Port": query.text("port"), "Path": list(paths) or None, "SrcPort": 0}],
    }

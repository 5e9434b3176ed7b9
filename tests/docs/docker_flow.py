"""Docker Flow: Proxy's parameters, and what becomes of each here: asked of the code that reads them.

The names are those of its documentation: of its Consul era (end of 2016) and of its last version (mode Swarm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.api.docker_flow_params import REFUSED, parse_reconfigure
from jenkins_proxy.proxy.api.params import Query
from jenkins_proxy.route_options import OPTIONS, Kind

_MINIMUM = {"serviceName": "books-ms", "servicePath": "/api/v1/books"}
_REFUSAL = " is not supported: "

# Of those that are taken: a value that is allowed, and the meaning.
_EXAMPLES = {
    "service": "books-ms",
    "paths": "/api/v1/books",
    "domains": "example.com",
    "path_type": "path_reg",
    "color": "blue",
    "acl_name": "05-books",
    "outbound_hostname": "books.example.com:8080",
    "req_path_search": "^/old/",
    "req_path_replace": "/new/",
}
_KINDS = {Kind.FLAG: "true", Kind.SECONDS: "60"}
TAKEN = {
    **{
        option.docker_flow: (_EXAMPLES.get(option.name) or _KINDS[option.kind], option.meaning)
        for option in OPTIONS
        if option.docker_flow
    },
    "servicePath.1": ("/api/v1/authors", "further paths, up to `servicePath.10`, to the first gap"),
    "serviceCert": (
        "PEM",
        "PEM with its key, `\\n` for its line ends: the certificate of the service's name; `serve` needs `--tls-bind`",
    ),
    "distribute": ("true", "taken and repeated in the answer; all proxies converge on the routes in any case"),
    "wait": ("30", "ours: seconds to wait for the first instance (30; 300 at the most)"),
    "allowEmpty": ("true", "ours: also without a live instance"),
    "dryRun": ("true", "ours: change nothing, show what would change"),
}
# A parameter that only goes along with another one.
_COMPANION = {"reqPathReplace": "reqPathSearch", "reqPathSearch": "reqPathReplace"}

_NAMES = """
serviceName servicePath servicePath.1 serviceDomain serviceColor pathType skipCheck consulTemplateFePath
consulTemplateBePath port mode distribute aclName serviceCert outboundHostname users httpsPort reqPathSearch
reqPathReplace reqRepSearch reqRepReplace templateFePath templateBePath srcPort port.1 srcPort.1
addReqHeader addResHeader backendExtra checkResolvers connectionMode delReqHeader delResHeader discoveryType
ignoreAuthorization isDefaultBackend proxyInstanceName replicas reqMode reqPathSearchReplace setReqHeader setResHeader
srcHttpsPort timeoutServer timeoutTunnel userDef allowedMethods compressionAlgo compressionType deniedMethods denyHttp
httpsOnly httpsRedirectCode redirectFromDomain redirectWhenHttpProto redirectUnlessHttpsProto serviceDomainAlgo
serviceHeader servicePathExclude sessionType sslVerifyNone userAgent usersSecret usersPassEncrypted verifyClientSsl
balanceGroup checkTcp clitcpka serviceGroup timeoutClient addHeader setHeader serviceDomainMatchAll
wait allowEmpty dryRun
"""


def verdict(name: str) -> tuple[str, str]:
    """What the daemon does with a parameter: ``taken``, ``ignored`` or ``refused``, and for the last the reason."""
    given = {**_MINIMUM, name: TAKEN.get(name, ("example", ""))[0]}
    if name in _COMPANION:
        given[_COMPANION[name]] = TAKEN[_COMPANION[name]][0]
    try:
        call = parse_reconfigure(Query(given.items()))
    except UsageError as error:
        if not error.message.startswith(name + _REFUSAL):
            raise
        return "refused", error.message.partition(_REFUSAL)[2]
    return ("ignored", "") if name in call.ignored else ("taken", TAKEN[name][1])


def tables(table: Callable[[Sequence[str], Iterable[Sequence[str]]], str]) -> dict[str, str]:
    """One table for each verdict."""
    verdicts = {name: verdict(name) for name in sorted({*_NAMES.split(), *REFUSED}, key=str.lower)}
    reasons: dict[str, list[str]] = {}
    for name, (kind, reason) in verdicts.items():
        if kind == "refused":
            reasons.setdefault(reason, []).append(f"`{name}`")
    taken = [(f"`{name}`", text) for name, (kind, text) in verdicts.items() if kind == "taken"]
    ignored = [f"`{name}`" for name, (kind, _) in verdicts.items() if kind == "ignored"]
    return {
        "taken": table(("parameter", "meaning"), taken),
        "refused": table(("parameters", "reason"), [(", ".join(names), reason) for reason, names in reasons.items()]),
        "ignored": ", ".join(ignored) + ".\n",
    }

"""Docker Flow: Proxy's parameters, and what becomes of each here: asked of the code that reads them.

The names are those of its documentation: of its Consul era (end of 2016) and of its last version (mode Swarm).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.api.docker_flow.params import parse_reconfigure
from jenkins_proxy.proxy.container_environ import HONOURED, PASSED_OVER
from jenkins_proxy.proxy.haproxy.config.options import Timeouts
from jenkins_proxy.route_options.docker_flow import REFUSED
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.route_options.table import OPTIONS
from tests.docs.docker_flow_exchanges import DIFFERENCES, USER_DIFFERENCES
from tests.fixtures.route_values import TEXTS

_MINIMUM = {"serviceName": "books-ms", "servicePath": "/api/v1/books"}
_REFUSAL = " is not supported: "

# Of those that are taken: a value that is allowed, and the meaning.
_EXAMPLES = {
    "service": "books-ms",
    "paths": "/api/v1/books",
    "domains": "example.com",
    "color": "blue",
    "outbound_hostname": "books.example.com:8080",
    "users": "ann:secret",
    **{name: texts[0] for name, texts in TEXTS.items() if name != "users"},
}
TAKEN = {
    **{option.docker_flow: (_EXAMPLES[option.name], option.meaning) for option in OPTIONS if option.docker_flow},
    **{
        option.docker_flow_old: (_EXAMPLES[option.name], f"the old name of `{option.docker_flow}`")
        for option in OPTIONS
        if option.docker_flow_old
    },
    "users": ("ann:secret", "who may enter, by HTTP's basic authentication: of passwords only hashes are kept"),
    "usersPassEncrypted": ("true", "the passwords of `users` are hashes already, as `openssl passwd -6` makes them"),
    "serviceCert": (
        "PEM",
        "PEM with its key, `\\n` for its line ends: the certificate of the service's name; `serve` needs `--tls-bind`",
    ),
    "usersSecret": ("team", "the users in `/run/secrets/dfp_users_NAME` where the daemon runs"),
    "serviceDomainMatchAll": ("true", "the old name of `serviceDomainAlgo=hdr_dom(host)`"),
    "servicePath.1": (
        "/api/v1/authors",
        "destinations, up to `servicePath.10`, to the first gap; every parameter takes an index",
    ),
    "distribute": ("true", "taken and repeated in the answer; all proxies converge on the routes in any case"),
    "wait": ("30", "ours: seconds to wait for the first instance (30; 300 at the most)"),
    "allowEmpty": ("true", "ours: also without a live instance"),
    "takeOver": ("true", "ours: take paths and domains from the routes of other services"),
    "port": ("8080", "of `outboundHostname`, or what tells the destinations of a service apart"),
    "port.1": ("8080", "the same of one destination"),
    "srcPort.1": ("80", "`srcPort` of one destination"),
    "dryRun": ("true", "ours: change nothing, show what would change"),
}
# Parameters that only go along with others.
_COMPANIONS = {
    "reqPathReplace": {"reqPathSearch": "^/old/"},
    "redirectFromDomain": {"serviceDomain": "example.com"},
    "usersPassEncrypted": {"users": TEXTS["users"][0]},
}

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
wait allowEmpty takeOver dryRun
"""


_VARIABLES = """
BIND_PORTS CA_FILE CAPTURE_REQUEST_HEADER CERTS CFG_TEMPLATE_PATH CHECK_RESOLVERS COMPRESSION_ALGO COMPRESSION_TYPE
CONNECTION_MODE CONSUL_ADDRESS CRT_LIST_PATH DEBUG DEBUG_ERRORS_ONLY DEBUG_HTTP_FORMAT DEBUG_TCP_FORMAT DEFAULT_PORTS
DEFAULT_REQ_MODE DO_NOT_RESOLVE_ADDR ENABLE_H2 EXTRA_FRONTEND EXTRA_GLOBAL FILTER_PROXY_INSTANCE_NAME HTTPS_ONLY IP
LISTENER_ADDRESS MODE PORT PREFERRED_CERTIFICATE PROXY_INSTANCE_NAME RECONFIGURE_ATTEMPTS RELOAD_ATTEMPTS
RELOAD_INTERVAL REPEAT_RELOAD RESOLVERS SEPARATOR SERVICE_DOMAIN_ALGO SERVICE_NAME SKIP_ADDRESS_VALIDATION
SSL_BIND_CIPHERS SSL_BIND_OPTIONS STATS_PASS STATS_PASS_ENV STATS_PORT STATS_URI STATS_URI_ENV STATS_USER STATS_USER_ENV
TERMINATE_ON_RELOAD TIMEOUT_CLIENT TIMEOUT_CONNECT TIMEOUT_HTTP_KEEP_ALIVE TIMEOUT_HTTP_REQUEST TIMEOUT_QUEUE
TIMEOUT_SERVER TIMEOUT_TUNNEL USERS USERS_PASS_ENCRYPTED
"""
"""Those of its documentation."""


def verdict(name: str) -> tuple[str, str]:
    """What the daemon does with a parameter: ``taken``, ``ignored`` or ``refused``, and for the last the reason."""
    given = {**_MINIMUM, name: TAKEN.get(name, ("example", ""))[0]}
    try:
        call = parse_reconfigure(Query({**_COMPANIONS.get(name, {}), **given}.items()), lambda _name: "ann:secret")
    except UsageError as error:
        if not error.message.startswith(name + _REFUSAL):
            raise
        return "refused", error.message.partition(_REFUSAL)[2]
    return ("ignored", "") if name in call.ignored else ("taken", TAKEN[name][1])


def unread() -> list[str]:
    """Variables of its documentation of which nothing is read."""
    timeouts = {f"TIMEOUT_{timeout.name.upper()}" for timeout in dataclasses.fields(Timeouts)}
    return sorted(set(_VARIABLES.split()) - HONOURED.keys() - PASSED_OVER.keys() - timeouts)


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
        "differences": table(("there", "here"), [*DIFFERENCES.values(), *USER_DIFFERENCES.values()]),
        "environment": table(("variable", "gives"), [(f"`{name}`", text) for name, text in HONOURED.items()]),
        "environment-unread": ", ".join(f"`{name}`" for name in unread()) + ".\n",
        "environment-passed-over": table(
            ("variable", "reason"), [(f"`{name}`", reason) for name, reason in PASSED_OVER.items()]
        ),
    }

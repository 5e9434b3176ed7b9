"""The table of a route's fields: what each is called by every way in, what it may hold, and what it means.

From this table come the command line's options, the keys of the Jenkins steps, Docker Flow: Proxy's parameters, the
fields of ``/v1/routes``, the compose labels, the words in error messages and the table in the documentation. A new
option is a field of :class:`~jenkins_proxy.model.Route`, a row here, and what HAProxy makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import DOMAIN_REGEX, Route
from jenkins_proxy.route_options import http_options, http_values
from jenkins_proxy.route_options.option import (
    Kind,
    RouteOption,
    list_of,
    one_of,
    optional,
)

MAX_SLOW_START = 3600.0
MAX_TIMEOUT = 86400.0
PROTOCOLS = ("h2",)

OPTIONS = (
    RouteOption(
        "service",
        Kind.TEXT,
        "the service's name in the registry",
        validation.check_service,
        docker_flow="serviceName",
        docker_flow_answer="ServiceName",
    ),
    RouteOption(
        "paths",
        Kind.LIST,
        "paths that lead to the service",
        list_of(),
        cli="--path",
        metavar="P[,P...]",
        docker_flow="servicePath",
    ),
    RouteOption(
        "domains",
        Kind.LIST,
        "domains that lead to the service: example.com and all below it, *.example.com only what is below it",
        list_of(),
        cli="--domain",
        metavar="D[,D...]",
        docker_flow="serviceDomain",
        docker_flow_answer="ServiceDomain",
    ),
    RouteOption(
        "path_type",
        Kind.TEXT,
        "how paths match, in HAProxy's words",
        one_of(validation.PATH_TYPES),
        cli="--path-type",
        metavar="TYPE",
        docker_flow="pathType",
        docker_flow_answer="PathType",
        labelled=True,
        choices=validation.PATH_TYPES,
    ),
    RouteOption(
        "color",
        Kind.TEXT,
        "the color of a blue-green service that serves: its instances are those of SERVICE-COLOR",
        optional(validation.COLOR),
        docker_flow="serviceColor",
        docker_flow_answer="ServiceColor",
    ),
    RouteOption(
        "acl_name",
        Kind.TEXT,
        "what orders the routes that match neither by an exact path nor by a prefix (default: the service's name)",
        optional(validation.NAME),
        cli="--acl-name",
        metavar="NAME",
        docker_flow="aclName",
        docker_flow_answer="AclName",
        labelled=True,
    ),
    RouteOption(
        "skip_check",
        Kind.FLAG,
        "no health check by the proxy itself",
        validation.check_flag,
        cli="--skip-check",
        docker_flow="skipCheck",
        docker_flow_answer="SkipCheck",
        labelled=True,
    ),
    RouteOption(
        "req_path_search",
        Kind.TEXT,
        "a regular expression: what it matches in the path is replaced before the request goes on",
        lambda value, parameter: value == "" or validation.check_regex(value, parameter),
        cli="--req-path-search",
        metavar="REGEX",
        docker_flow="reqPathSearch",
        docker_flow_answer="ReqPathSearch",
        labelled=True,
    ),
    RouteOption(
        "req_path_replace",
        Kind.TEXT,
        "what replaces the match of the regular expression",
        lambda value, parameter: validation.check(validation.REPLACEMENT, parameter, value),
        cli="--req-path-replace",
        metavar="TEXT",
        docker_flow="reqPathReplace",
        docker_flow_answer="ReqPathReplace",
        labelled=True,
    ),
    RouteOption(
        "outbound_hostname",
        Kind.TEXT,
        "host:port outside the registry that requests go to, instead of instances",
        lambda value, parameter: value == "" or validation.parse_address(value, parameter),
        docker_flow="outboundHostname",
        docker_flow_answer="OutboundHostname",
    ),
    RouteOption(
        "slow_start",
        Kind.SECONDS,
        "seconds within which a new instance reaches its full share of the requests",
        lambda value, parameter: validation.check_seconds(value, parameter, MAX_SLOW_START),
        cli="--slow-start",
        metavar="SECONDS",
        labelled=True,
    ),
    RouteOption(
        "timeout_server",
        Kind.SECONDS,
        "seconds that the proxy waits for data from an instance",
        lambda value, parameter: validation.check_seconds(value, parameter, MAX_TIMEOUT),
        cli="--timeout-server",
        metavar="SECONDS",
        docker_flow="timeoutServer",
        labelled=True,
    ),
    RouteOption(
        "timeout_tunnel",
        Kind.SECONDS,
        "seconds that a silent WebSocket stays open",
        lambda value, parameter: validation.check_seconds(value, parameter, MAX_TIMEOUT),
        cli="--timeout-tunnel",
        metavar="SECONDS",
        docker_flow="timeoutTunnel",
        labelled=True,
    ),
    RouteOption(
        "check_path",
        Kind.TEXT,
        "path that a ready instance answers with 2xx, 3xx, 401 or 403 (default: the first path, below 500)",
        lambda value, parameter: value == "" or validation.check_page(value, parameter),
        cli="--check-path",
        metavar="P",
        labelled=True,
    ),
    *http_options.OPTIONS,
    RouteOption(
        "allow_from",
        Kind.LIST,
        "networks, such as 10.0.0.0/8, from which users may connect; all others get 403 (default: everywhere)",
        list_of(validation.check_network),
        cli="--allow-from",
        metavar="NET[,NET...]",
        labelled=True,
    ),
    RouteOption(
        "proto",
        Kind.TEXT,
        "what instances speak: h2 is HTTP/2 without TLS, as gRPC has it (default: HTTP/1.1)",
        one_of(("", *PROTOCOLS)),
        cli="--proto",
        metavar="PROTO",
        labelled=True,
        choices=PROTOCOLS,
    ),
)
_OF_CONNECTIONS = {
    *("service", "color", "acl_name", "skip_check", "outbound_hostname", "slow_start", "timeout_server"),
    *("timeout_tunnel", "check_tcp", "src_port", "req_mode", "part_of"),
}
CLI_WORDS = {option.name: option.cli or option.name for option in OPTIONS}
DOCKER_FLOW_WORDS = {option.name: option.docker_flow or option.name for option in OPTIONS}


def check_domain(domain: str, algo: str, parameter: str) -> None:
    """Check a domain of a route by the grammar of how it matches, a ``domain_algo``.

    :raises UsageError: when it is not allowed.
    """
    if algo == DOMAIN_REGEX:
        validation.check_regex(domain, parameter, fold=True)
    elif algo in http_options.PART_ALGOS:
        validation.check(validation.HOST_PART, parameter, domain)
    else:
        validation.check_domain(domain, parameter)


def check_route(route: Route, words: Mapping[str, str] | None = None) -> None:
    """Check every value of a route against its grammar, before anything is done with it.

    :param words: what the caller calls a field, where that differs from its name: ``{"paths": "--path"}``.
    :raises UsageError: for the first value that its grammar does not allow.
    """
    word = {option.name: (words or {}).get(option.name, option.name) for option in OPTIONS}
    for option in OPTIONS:
        option.check(getattr(route, option.name), word[option.name])
    for domain in route.domains:
        check_domain(domain, route.domain_algo, word["domains"])
    for name in ("paths", "path_exclude"):
        for path in getattr(route, name):
            validation.check_path(path, route.path_type, word[name])
    if route.tcp:
        _check_tcp(route, word)
    elif route.domain_algo == http_values.TLS_NAME:
        raise UsageError(
            f"{word['domain_algo']} {route.domain_algo} is for {word['req_mode']} sni",
            "by https a request's host is its name in TLS: leave it out",
        )
    elif not route.paths and not route.domains and not route.is_default_backend:
        raise UsageError(
            f"the route of {route.service} has neither a path nor a domain",
            f"give {word['paths']} or {word['domains']}, or both",
        )
    if route.req_path_replace and not route.req_path_search:
        shown = validation.shown(route.req_path_replace)
        raise UsageError(f"{word['req_path_replace']} {shown} is given without {word['req_path_search']}")
    _check_redirects(route, word)
    _check_users(route, word)


def _check_tcp(route: Route, word: Mapping[str, str]) -> None:
    """:raises UsageError: when a route of connections lacks what tells them apart, or has what only requests have."""
    mode = f"{word['req_mode']} {route.req_mode}"
    without = [] if route.src_port else [word["src_port"]]
    without += [word["domains"]] if route.req_mode == "sni" and not route.domains else []
    if without:
        raise UsageError(f"{mode} is given without {' and '.join(without)}")
    fit = _OF_CONNECTIONS | ({"domains"} if route.req_mode == "sni" else set())
    fit |= {"domain_algo"} if route.domains and route.domain_algo == http_values.TLS_NAME else set()
    unfit = [word[o.name] for o in OPTIONS if o.name not in fit and getattr(route, o.name) != o.default]
    if unfit:
        raise UsageError(f"{mode} goes without {validation.few(unfit)}: a connection is no request")


def _check_redirects(route: Route, word: Mapping[str, str]) -> None:
    """:raises UsageError: for a domain whose users would be sent nowhere, or to and fro for ever."""
    for domain in route.redirect_from_domain:
        if domain.startswith("*."):
            raise validation.not_allowed(word["redirect_from_domain"], domain, "one domain, without *")
        if not route.host or route.host.lower() == domain.lower():
            raise UsageError(
                f"{word['redirect_from_domain']} {validation.shown(domain)} has no other domain to redirect to",
                f"give it with {word['domains']}",
            )


def _check_users(route: Route, word: Mapping[str, str]) -> None:
    """:raises UsageError: when a user has two passwords."""
    names = [user.partition(":")[0] for user in route.users]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{word['users']}: {validation.few(twice)} is given twice")

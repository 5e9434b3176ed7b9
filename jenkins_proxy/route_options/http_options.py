"""The rows of the table of a route's fields that are about HTTP: who is let in, where to, and with which headers."""

from __future__ import annotations

import contextlib

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import DOMAIN_REGEX
from jenkins_proxy.route_options import http_values
from jenkins_proxy.route_options.option import Kind, RouteOption, list_of, one_of, optional

PART_ALGOS = ("hdr_beg(host)", "hdr_end(host)", "hdr_sub(host)")
"""Those whose domains are parts of a host name."""
DOMAIN_ALGOS = ("hdr(host)", "hdr_dom(host)", *PART_ALGOS, DOMAIN_REGEX, http_values.TLS_NAME)
STICKY = "sticky-server"
COMPRESSIONS = ("gzip", "deflate", "raw-deflate", "identity")
MODES = ("http", "tcp", "sni")
REDIRECT_CODES = ("301", "302", "303", "307", "308")


def _choice(
    name: str, meaning: str, *, cli: str, docker_flow: str, choices: tuple[str, ...], metavar: str
) -> RouteOption:
    check = one_of(("", *choices))
    return RouteOption(
        name, Kind.TEXT, meaning, check, cli, metavar, docker_flow=docker_flow, labelled=True, choices=choices
    )


def _flag(name: str, meaning: str, cli: str, docker_flow: str) -> RouteOption:
    return RouteOption(name, Kind.FLAG, meaning, validation.check_flag, cli, docker_flow=docker_flow, labelled=True)


def _check_any_path(value: object, parameter: str) -> None:
    """A path in the form of some path type: of which, is known only with the whole route."""
    with contextlib.suppress(UsageError):
        validation.check_regex(value, parameter)
        return
    validation.check_path(value, "path_end", parameter)


def _headers(what: str, verb: str, side: str, old: str = "") -> RouteOption:
    """One of the six parameters of headers."""
    values, words = ("", "NAME") if what == "del" else (" value", "'NAME VALUE'")
    sense = "request before it goes on" if side == "req" else "answer"
    return RouteOption(
        f"{what}_{side}_header",
        Kind.LIST,
        f"headers that are {verb} the {sense}: X-Name{values}",
        list_of(http_values.check_header_name if what == "del" else http_values.check_header),
        f"--{what}-{side}-header",
        f"{words}[,...]",
        docker_flow=f"{what}{side.title()}Header",
        docker_flow_old=old,
        labelled=True,
    )


OPTIONS = (
    _choice(
        "domain_algo",
        "how domains match, in HAProxy's words (default: the domain and all below it, as hdr_dom(host)); "
        "req.ssl_sni is the very name, in the mode sni",
        cli="--domain-algo",
        docker_flow="serviceDomainAlgo",
        choices=DOMAIN_ALGOS,
        metavar="ALGO",
    ),
    RouteOption(
        "service_header",
        Kind.LIST,
        "headers that a request must have to reach the service: X-Version:3",
        list_of(http_values.check_header_match),
        "--service-header",
        "NAME:VALUE[,...]",
        docker_flow="serviceHeader",
        labelled=True,
    ),
    RouteOption(
        "user_agent",
        Kind.LIST,
        "parts of a User-Agent header, one of which a request must have to reach the service",
        list_of(lambda value, parameter: validation.check(http_values.AGENT, parameter, value)),
        "--user-agent",
        "TEXT[,...]",
        docker_flow="userAgent",
        labelled=True,
    ),
    RouteOption(
        "path_exclude",
        Kind.LIST,
        "paths that do not lead to the service, though they match; compared as the route's own",
        list_of(_check_any_path),
        "--path-exclude",
        "P[,P...]",
        docker_flow="servicePathExclude",
        labelled=True,
    ),
    _flag(
        "is_default_backend",
        "requests that no route is for reach this service, too",
        "--is-default-backend",
        "isDefaultBackend",
    ),
    RouteOption(
        "redirect_from_domain",
        Kind.LIST,
        "domains whose users are sent to the route's first domain, by 301",
        list_of(validation.check_domain),
        "--redirect-from-domain",
        "D[,D...]",
        docker_flow="redirectFromDomain",
        labelled=True,
    ),
    _flag(
        "https_only",
        "requests that did not come by HTTPS are redirected to it; X-Forwarded-Proto: https counts as HTTPS",
        "--https-only",
        "httpsOnly",
    ),
    _choice(
        "https_redirect_code",
        "the status of redirects to HTTPS (default: 302)",
        cli="--https-redirect-code",
        docker_flow="httpsRedirectCode",
        choices=REDIRECT_CODES,
        metavar="CODE",
    ),
    _flag(
        "redirect_when_http_proto",
        "requests with X-Forwarded-Proto: http are redirected to HTTPS",
        "--redirect-when-http-proto",
        "redirectWhenHttpProto",
    ),
    _flag(
        "redirect_unless_https_proto",
        "requests without X-Forwarded-Proto: https are redirected to HTTPS",
        "--redirect-unless-https-proto",
        "redirectUnlessHttpsProto",
    ),
    _flag(
        "deny_http",
        "requests that did not come by HTTPS are answered with 403; X-Forwarded-Proto: https counts as HTTPS",
        "--deny-http",
        "denyHttp",
    ),
    RouteOption(
        "allowed_methods",
        Kind.LIST,
        "the only methods that are let through; others are answered with 403",
        list_of(lambda value, parameter: validation.check(http_values.METHOD, parameter, value)),
        "--allowed-methods",
        "M[,M...]",
        docker_flow="allowedMethods",
        labelled=True,
    ),
    RouteOption(
        "denied_methods",
        Kind.LIST,
        "methods that are answered with 403",
        list_of(lambda value, parameter: validation.check(http_values.METHOD, parameter, value)),
        "--denied-methods",
        "M[,M...]",
        docker_flow="deniedMethods",
        labelled=True,
    ),
    RouteOption(
        "users",
        Kind.LIST,
        f"who may enter, by HTTP's basic authentication: a name and a password's hash ({http_values.HASH_HINT})",
        list_of(http_values.check_user),
        "--users",
        "NAME:HASH[,...]",
        docker_flow="users",
        labelled=True,
    ),
    _flag(
        "ignore_authorization",
        "everybody may enter, whatever users are given",
        "--ignore-authorization",
        "ignoreAuthorization",
    ),
    RouteOption(
        "req_path_search_replace",
        Kind.TEXT,
        "as req_path_search and req_path_replace, several times: /old/,/new/:^/v1,",
        http_values.check_rewrites,
        "--req-path-search-replace",
        "REGEX,TEXT[:...]",
        docker_flow="reqPathSearchReplace",
        labelled=True,
    ),
    _headers("add", "added to", "req", "addHeader"),
    _headers("set", "set in", "req", "setHeader"),
    _headers("del", "taken out of", "req"),
    _headers("add", "added to", "res"),
    _headers("set", "set in", "res"),
    _headers("del", "taken out of", "res"),
    _choice(
        "session_type",
        "keeps a user at one instance, by a cookie of the service's name",
        cli="--session-type",
        docker_flow="sessionType",
        choices=(STICKY,),
        metavar="TYPE",
    ),
    _choice(
        "compression_algo",
        "compresses answers for clients that take it",
        cli="--compression-algo",
        docker_flow="compressionAlgo",
        choices=COMPRESSIONS,
        metavar="ALGO",
    ),
    RouteOption(
        "compression_type",
        Kind.LIST,
        "content types that are compressed (default: all)",
        list_of(lambda value, parameter: validation.check(http_values.CONTENT_TYPE, parameter, value)),
        "--compression-type",
        "T[,T...]",
        docker_flow="compressionType",
        labelled=True,
        docker_flow_separators=", ",
    ),
    _flag(
        "check_tcp",
        "an instance is ready once it takes connections, whatever it answers",
        "--check-tcp",
        "checkTcp",
    ),
    RouteOption(
        "src_port",
        Kind.TEXT,
        "the port at which requests come in, one of those that the daemon's --bind or --tcp-bind gives (default: any)",
        http_values.check_port,
        "--src-port",
        "PORT",
        docker_flow="srcPort",
        labelled=True,
    ),
    _choice(
        "req_mode",
        "what is routed: requests of HTTP, connections by their port alone (tcp), or by port and TLS name (sni)",
        cli="--req-mode",
        docker_flow="reqMode",
        choices=MODES,
        metavar="MODE",
    ),
    RouteOption(
        "part_of",
        Kind.TEXT,
        "the service of a call of Docker Flow: Proxy that has several destinations, of which this is one",
        optional(validation.NAME),
    ),
)

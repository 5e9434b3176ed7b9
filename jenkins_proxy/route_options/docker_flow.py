"""Docker Flow: Proxy's parameters as fields of a route: those of a call's query, and of the labels ``com.df.*``. Pure.

The names are those of its Consul era (end of 2016) and of its last version. Where it takes several destinations of a
service, by an index from 1 to 10, the values without an index are their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.route_options import http_values
from jenkins_proxy.route_options.option import DEFAULTS, MAX_VALUES, Kind, RouteOption
from jenkins_proxy.route_options.query import FALSE, Query
from jenkins_proxy.validation import few

_TEMPLATE = "a template would put raw text into HAProxy's configuration"
_AUTH = "it would restrict who reaches the service, and jenkins-proxy cannot; serving it open instead would be wrong"
_TLS = "instances are spoken to without TLS; for users there is `serve --tls-bind`"
_OLD_REWRITE = "use reqPathSearchReplace"
REFUSED = {
    **dict.fromkeys(
        ("consulTemplateFePath", "consulTemplateBePath", "templateFePath", "templateBePath", "backendExtra"), _TEMPLATE
    ),
    "verifyClientSsl": _AUTH,
    **dict.fromkeys(("httpsPort", "srcHttpsPort", "sslVerifyNone"), _TLS),
    **dict.fromkeys(("reqRepSearch", "reqRepReplace"), _OLD_REWRITE),
}
"""Parameters that are refused, and why."""
USERS_WORDS = ("usersPassEncrypted", "usersSecret")
"""Parameters that say how ``users`` are meant."""
MATCH_ALL = "serviceDomainMatchAll"
"""An old name of ``serviceDomainAlgo=hdr_dom(host)``."""
MAX_DESTINATIONS = 10
_MAX_PASSWORD = 256
# How it compares a connection's name in TLS, in place of a path type.
_TLS_COMPARISON = re.compile(r"req[._]ssl_sni(?: +-i)?(?: +-m +(?P<how>str|end))?")
# What a caller who means "the default" may send along with a refused name.
_HARMLESS = ("", "http", *FALSE)
# Of these an index is enough to make a destination.
_DESTINATION = ("servicePath", "serviceDomain", "port", "httpsPort")

_NOBODY: Mapping[str, str] = {}

Hash = Callable[[str, str, str], str]
"""Takes a password, the service and the user, and returns the password's hash."""


def fields(
    query: Query,
    options: tuple[RouteOption, ...],
    make_hash: Hash,
    secret: Callable[[str], str],
    separator: str = ",",
    *,
    shared: Mapping[str, str] = _NOBODY,
) -> list[dict[str, Any]]:
    """The fields of the routes that the parameters give, and the defaults of those that they do not.

    Destinations that differ in their paths alone are one route. Others are a route each, of the service that
    Registrator makes of each port where a container has several: ``books-ms-8081``.

    :param options: those with a parameter of Docker Flow: Proxy.
    :param make_hash: for passwords in clear.
    :param secret: the text of the file of users that ``usersSecret`` names.
    :param separator: what stands between the items of a list, unless the option says it itself.
    :param shared: hashes of users of all services, whose passwords may be left out.
    :return: one at the least.
    :raises UsageError: for what is refused or contradicts itself.
    """
    _refuse(query)
    groups: list[dict[str, Any]] = []
    for index in destinations(query):
        values = _destination(query, options, index, separator)
        same = next((own for own in groups if not _differing(own, values, options)), None)
        if same is None:
            groups.append(values)
        else:
            same["paths"] = tuple(dict.fromkeys((*same["paths"], *values["paths"])))
            same["port"] = same["port"] or values["port"]
    if len(groups) > 1:
        _name_each(groups, options)
    for values in groups:
        if query.flag(MATCH_ALL) and not values["domain_algo"]:
            values["domain_algo"] = "hdr_dom(host)"
        values["users"] = users(query, values["users"], values["service"], make_hash, secret, shared=shared)
        del values["port"]
    return groups


def given(query: Query, options: tuple[RouteOption, ...]) -> set[str]:
    """The names of the fields that the parameters give."""
    suffixes = [f".{index}" if index else "" for index in range(MAX_DESTINATIONS + 1)]
    names = {
        option.name
        for option in options
        for name in (option.docker_flow, option.docker_flow_old)
        if name and any(query.texts(name + suffix) for suffix in suffixes)
    }
    domains = (domain for suffix in suffixes for domain in query.list(f"serviceDomain{suffix}"))
    return (
        names
        | ({"domain_algo"} if query.flag(MATCH_ALL) or any(map(_is_end, domains)) else set())
        | ({"users"} if query.texts("usersSecret") else set())
    )


def destinations(query: Query) -> tuple[int, ...]:
    """The indexes of the destinations, up to the first gap; 0 for the parameters without one."""
    indexes = []
    for index in range(1, MAX_DESTINATIONS + 1):
        if not any(query.texts(f"{name}.{index}") for name in _DESTINATION):
            break
        indexes.append(index)
    # Before the final version, what has no index was a destination of its own.
    return (*([0] if not indexes or query.texts("servicePath") else []), *indexes)


def unindexed(name: str) -> str:
    """A parameter without its index: ``servicePath`` for ``servicePath.1``."""
    stem, dot, index = name.rpartition(".")
    return stem if dot and validation.whole(index, MAX_DESTINATIONS) else name


def _refuse(query: Query) -> None:
    for name in query:
        reason = REFUSED.get(unindexed(name))
        if reason and query.text(name) not in _HARMLESS:
            raise UsageError(f"{name} is not supported: {reason}")


def _destination(query: Query, options: tuple[RouteOption, ...], index: int, separator: str) -> dict[str, Any]:
    values = {option.name: _value(query, option, index, separator) for option in options}
    port = index and query.text(f"port.{index}") or query.text("port")
    host = values["outbound_hostname"]
    return {
        **values,
        "outbound_hostname": f"{host}:{port}" if host and port and ":" not in host else host,
        "users": query.texts(f"users.{index}") or query.texts("users"),
        "port": port,
        # It is the default, and so the same as none.
        "req_mode": "" if values["req_mode"] == "http" else values["req_mode"],
        **_ended(values),
        **_named(values),
    }


def _ended(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a route with domains such as ``*domain.com``: there that is whatever ends so, ``my-domain.com``,
    too, and for all domains beside it the algorithm is the same."""
    if not any(map(_is_end, values["domains"])) or values["req_mode"] not in ("", "http"):
        return {}
    domains = tuple(domain.removeprefix("*") if _is_end(domain) else domain for domain in values["domains"])
    return {"domains": domains, "domain_algo": "hdr_end(host)"}


def _is_end(domain: str) -> bool:
    return domain.startswith("*") and not domain.startswith("*.")


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a route of connections whose name in TLS matters. There are two ways to say it there: domains with
    an algorithm of their own in the mode tcp, and in the mode sni names for paths, with a comparison for a path type.

    :raises UsageError: for a comparison that none of ours is.
    """
    if values["req_mode"] == "tcp" and values["domains"] and values["domain_algo"] == http_values.TLS_NAME:
        return {"req_mode": "sni"}
    if values["req_mode"] != "sni" or not values["paths"] or values["domains"]:
        return {}
    match = _TLS_COMPARISON.fullmatch(values["path_type"])
    end = bool(match and match["how"] == "end")
    if not match or end and not all(path.startswith(".") for path in values["paths"]):
        raise UsageError(
            f"pathType {validation.shown(values['path_type'])} is not allowed with reqMode sni: names are compared "
            "whole, or from a dot to their end",
            "give serviceDomain, or pathType=req.ssl_sni -i -m end with servicePath=.example.com",
        )
    domains = tuple(f"*{path}" if end else path for path in values["paths"])
    algo = "" if end else http_values.TLS_NAME
    return {"domains": domains, "domain_algo": algo, "paths": (), "path_type": DEFAULTS["path_type"]}


def _value(query: Query, option: RouteOption, index: int, separator: str) -> Any:
    """The value of one field of the route; its default where the parameter is missing or empty."""
    name = next((name for name in _names(option, index) if query.texts(name)), option.docker_flow)
    if option.kind is Kind.LIST:
        return tuple(
            item
            for text in query.texts(name)
            for item in option.items(text, option.docker_flow_separators.replace(",", separator))
        )
    if option.kind is Kind.FLAG:
        return query.flag(name)
    text = query.text(name)
    return option.parse(text) if text else option.default


def _names(option: RouteOption, index: int) -> Iterator[str]:
    for name in (option.docker_flow, option.docker_flow_old):
        if name:
            if index:
                yield f"{name}.{index}"
            yield name


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], options: tuple[RouteOption, ...]) -> list[str]:
    """The parameters in which two destinations differ, beside their paths."""
    names = {option.name: option.docker_flow for option in options if option.name != "paths"}
    ports = ["port"] if one["port"] and other["port"] and one["port"] != other["port"] else []
    return [*ports, *(name for field, name in names.items() if one[field] != other[field])]


def _name_each(groups: list[dict[str, Any]], options: tuple[RouteOption, ...]) -> None:
    """Give each of several destinations the name of its own service.

    :raises UsageError: when two have one port: they would be one service with two routes.
    """
    service, ports = groups[0]["service"], [values["port"] for values in groups]
    if "" in ports or len(set(ports)) < len(ports):
        differing = few(_differing(groups[0], groups[1], options))
        raise UsageError(
            f"destinations of {service} differ in {differing}, and not each has a port of its own",
            "give each its port, or in the registry a service of its own",
        )
    for values in groups:
        http_values.check_port(values["port"], "port")
        values |= {"service": f"{service}-{values['port']}", "part_of": service}


def users(
    query: Query,
    given: tuple[str, ...],
    service: str,
    make_hash: Hash,
    secret: Callable[[str], str],
    *,
    shared: Mapping[str, str] = _NOBODY,
) -> tuple[str, ...]:
    """``name:hash`` of each user. Those without a password have that of the secret, or, without one, the shared hash.

    :param given: texts with the users.
    :param shared: hashes of users of all services.
    :raises UsageError: for what is no user, and for one without a password.
    """
    hashed = query.flag("usersPassEncrypted")
    name = query.text("usersSecret")
    known = dict(_pairs(secret(name), "usersSecret")) if name else {}
    wanted = dict(_pairs(",".join(given), "users")) or known
    if len(wanted) > MAX_VALUES:
        raise UsageError(f"users: {len(wanted)} values: {MAX_VALUES} at the most are allowed")
    passwords = {user: password or known.get(user, "") for user, password in wanted.items()}
    hashes = {user: "" if name else shared.get(user, "") for user, password in passwords.items() if not password}
    without = [user for user, own in hashes.items() if not own]
    if without:
        raise UsageError(f"users {few(without)}: there is no password", "write name:password")
    return tuple(
        f"{user}:{hashes.get(user) or (password if hashed else make_hash(password, service, user))}"
        for user, password in passwords.items()
    )


def _pairs(text: str, parameter: str) -> Iterator[tuple[str, str]]:
    """Names and passwords of a list with commas or line ends in between."""
    for item in text.replace("\n", ",").split(","):
        user, _, password = (part.strip("\t ") for part in item.strip("\t\r ").partition(":"))
        if user or password:
            http_values.check_user_name(user, parameter)
            if len(password) > _MAX_PASSWORD or not password.isprintable():
                raise UsageError(
                    f"{parameter} {user}: a password is printable, with {_MAX_PASSWORD} characters at the most"
                )
            yield user, password

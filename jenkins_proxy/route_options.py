"""The table of a route's fields: what each is called by every way in, what it may hold, and what it means.

From this table come the command line's options, the keys of the Jenkins steps, Docker Flow: Proxy's parameters, the
fields of ``/v1/routes``, the compose labels, the words in error messages and the table in the documentation. A new
option is a field of :class:`~jenkins_proxy.model.Route`, a row here, and what HAProxy makes of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route

LABEL_PREFIX = "com.jenkins-proxy."
MAX_VALUES = 100
"""How many paths, and how many domains, a route may have."""
MAX_SLOW_START = 3600.0
MAX_TIMEOUT = 86400.0
PROTOCOLS = ("h2",)
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")

Check = Callable[[Any, str], object]
"""Takes a value and what its giver calls it; raises UsageError when the value is not allowed."""


class Kind(StrEnum):
    """What a field holds: text, texts, true or false, or a number of seconds."""

    TEXT = "text"
    LIST = "list"
    FLAG = "flag"
    SECONDS = "seconds"


@dataclass(frozen=True)
class RouteOption:
    """A field of a route, and all of its names.

    :ivar name: the field of :class:`~jenkins_proxy.model.Route`, which is also the key in JSON.
    :ivar meaning: in words, for the help of the command line, the Jenkins steps and the documentation.
    :ivar check: the grammar of one value; paths, whose grammar depends on ``path_type``, are checked elsewhere.
    :ivar cli: the option of the command line; empty where there is none. The key of the Jenkins steps and the label
        are made from it.
    :ivar metavar: what the command line's help calls the value.
    :ivar docker_flow: the parameter of Docker Flow: Proxy; empty where it has none.
    :ivar docker_flow_answer: the field of Docker Flow: Proxy's answer that repeats the parameter.
    :ivar labelled: whether a label of the target in the compose file can give it. What leads to a service is said by
        whoever deploys it, and has no label.
    :ivar choices: the only values allowed, for the help.
    """

    name: str
    kind: Kind
    meaning: str
    check: Check
    cli: str = ""
    metavar: str = ""
    docker_flow: str = ""
    docker_flow_answer: str = ""
    labelled: bool = False
    choices: tuple[str, ...] = ()

    @property
    def default(self) -> Any:
        """The value of a route that does not say; empty for the service, which every route says."""
        return getattr(Route, self.name, "")

    @property
    def default_text(self) -> str:
        """The default as a person would type it; empty where it is nothing."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else "".join(self.default)

    @property
    def groovy(self) -> str:
        """The key of the Jenkins steps: ``slowStart``; empty where there is none."""
        if self.name == "service":
            return self.name
        return re.sub(r"-(\w)", lambda match: match.group(1).upper(), self.cli.lstrip("-"))

    @property
    def label(self) -> str:
        """The compose label: ``com.jenkins-proxy.slow-start``; empty where there is none."""
        return LABEL_PREFIX + self.cli.lstrip("-") if self.labelled else ""

    def parse(self, text: str) -> Any:
        """The value that a text stands for. Where it stands for none, the text itself, which :attr:`check` refuses."""
        if self.kind is Kind.LIST:
            return tuple(item for item in text.split(",") if item)
        if self.kind is Kind.FLAG:
            return {"true": True, "false": False}.get(text, text)
        if self.kind is Kind.SECONDS:
            return float(text) if _NUMBER.fullmatch(text) else text
        return text


def _optional(rule: validation.Rule) -> Check:
    return lambda value, parameter: value == "" or validation.check(rule, parameter, value)


def _path_type(value: Any, parameter: str) -> None:
    if value not in validation.PATH_TYPES:
        raise validation.not_allowed(parameter, value, ", ".join(validation.PATH_TYPES))


def _proto(value: Any, parameter: str) -> None:
    if value not in ("", *PROTOCOLS):
        raise validation.not_allowed(parameter, value, ", ".join(PROTOCOLS))


def _list_of(check: Check | None = None) -> Check:
    def check_list(values: Any, parameter: str) -> None:
        if not isinstance(values, tuple):
            raise validation.not_allowed(parameter, values, "a list")
        if len(values) > MAX_VALUES:
            raise UsageError(f"{parameter}: {len(values)} values: {MAX_VALUES} at the most are allowed")
        if check:
            for value in values:
                check(value, parameter)

    return check_list


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
        _list_of(),
        cli="--path",
        metavar="P[,P...]",
        docker_flow="servicePath",
    ),
    RouteOption(
        "domains",
        Kind.LIST,
        "domains that lead to the service: example.com and all below it, *.example.com only what is below it",
        _list_of(validation.check_domain),
        cli="--domain",
        metavar="D[,D...]",
        docker_flow="serviceDomain",
        docker_flow_answer="ServiceDomain",
    ),
    RouteOption(
        "path_type",
        Kind.TEXT,
        "how paths match, in HAProxy's words",
        _path_type,
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
        _optional(validation.COLOR),
        docker_flow="serviceColor",
        docker_flow_answer="ServiceColor",
    ),
    RouteOption(
        "acl_name",
        Kind.TEXT,
        "what orders the routes that match neither by an exact path nor by a prefix (default: the service's name)",
        _optional(validation.NAME),
        docker_flow="aclName",
        docker_flow_answer="AclName",
    ),
    RouteOption(
        "skip_check",
        Kind.FLAG,
        "no health check by the proxy itself",
        validation.check_flag,
        docker_flow="skipCheck",
        docker_flow_answer="SkipCheck",
    ),
    RouteOption(
        "req_path_search",
        Kind.TEXT,
        "a regular expression: what it matches in the path is replaced before the request goes on",
        lambda value, parameter: value == "" or validation.check_regex(value, parameter),
        docker_flow="reqPathSearch",
        docker_flow_answer="ReqPathSearch",
    ),
    RouteOption(
        "req_path_replace",
        Kind.TEXT,
        "what replaces the match of the regular expression",
        lambda value, parameter: validation.check(validation.REPLACEMENT, parameter, value),
        docker_flow="reqPathReplace",
        docker_flow_answer="ReqPathReplace",
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
    RouteOption(
        "allow_from",
        Kind.LIST,
        "networks, such as 10.0.0.0/8, from which users may connect; all others get 403 (default: everywhere)",
        _list_of(validation.check_network),
        cli="--allow-from",
        metavar="NET[,NET...]",
        labelled=True,
    ),
    RouteOption(
        "proto",
        Kind.TEXT,
        "what instances speak: h2 is HTTP/2 without TLS, as gRPC has it (default: HTTP/1.1)",
        _proto,
        cli="--proto",
        metavar="PROTO",
        labelled=True,
        choices=PROTOCOLS,
    ),
)
CLI_WORDS = {option.name: option.cli or option.name for option in OPTIONS}
DOCKER_FLOW_WORDS = {option.name: option.docker_flow or option.name for option in OPTIONS}


def check_route(route: Route, words: Mapping[str, str] | None = None) -> None:
    """Check every value of a route against its grammar, before anything is done with it.

    :param words: what the caller calls a field, where that differs from its name: ``{"paths": "--path"}``.
    :raises UsageError: for the first value that its grammar does not allow.
    """
    word = {option.name: (words or {}).get(option.name, option.name) for option in OPTIONS}
    for option in OPTIONS:
        option.check(getattr(route, option.name), word[option.name])
    for path in route.paths:
        validation.check_path(path, route.path_type, word["paths"])
    if not route.paths and not route.domains:
        raise UsageError(
            f"the route of {route.service} has neither a path nor a domain",
            f"give {word['paths']} or {word['domains']}, or both",
        )
    if route.req_path_replace and not route.req_path_search:
        shown = validation.shown(route.req_path_replace)
        raise UsageError(f"{word['req_path_replace']} {shown} is given without {word['req_path_search']}")


def with_labels(route: Route, labels: Mapping[str, str], given: Collection[str] = ()) -> Route:
    """Complete a route with the compose labels of its target: a label is a default, and arguments win over it.

    :param labels: all labels of the compose service; those without the prefix ``com.jenkins-proxy.`` are not looked at.
    :param given: the fields that arguments have given.
    :raises UsageError: for a label with the prefix that is none of the table's, or whose value is not allowed.
    """
    options = {option.label: option for option in OPTIONS if option.labelled}
    unknown = sorted(name for name in labels if name.startswith(LABEL_PREFIX) and name not in options)
    if unknown:
        raise UsageError(f"unknown label(s) {', '.join(unknown)}", f"known: {', '.join(options)}")
    values: dict[str, Any] = {}
    for label, option in options.items():
        if label not in labels:
            continue
        value = option.parse(labels[label])
        option.check(value, label)
        if value in ("", ()):
            raise validation.not_allowed(label, labels[label], "a value")
        if option.name not in given:
            values[option.name] = value
    return dataclasses.replace(route, **values)

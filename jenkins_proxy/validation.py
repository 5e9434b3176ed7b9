"""Strict grammars: what each value of a route may look like before it comes near a config line, a map or a KV key.

Pure. The first line against injection, not the last one: rendering quotes, and ``haproxy -c`` reads the result.
Errors name the parameter in the caller's own word (``--path``, ``servicePath``, ``paths``), the value, and what is
allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route

PATH_TYPES = ("path", "path_beg", "path_dir", "path_dom", "path_end", "path_reg", "path_sub")
# These compare with the path's beginning, so a value that does not begin with "/" could never match.
_ANCHORED = ("path", "path_beg")
MOST_PATHS = 100
MOST_DOMAINS = 100
LONGEST_SLOW_START = 3600
_SHOWN = 60


@dataclass(frozen=True)
class Rule:
    """What a value may be.

    :ivar pattern: matches the whole value.
    :ivar allowed: the same in words, for the error's text.
    :ivar longest: in characters.
    """

    pattern: re.Pattern[str]
    allowed: str
    longest: int


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
# Of the percent-encodings only those that no normalisation can turn into a separator, a dot or a control character.
_PATH_CHARACTER = r"(?:[A-Za-z0-9/._~!$&()*+;=:@-]|%20|%[89A-Fa-f][0-9A-Fa-f])"
_PATH_WORDS = "letters, digits, / . _ ~ ! $ & ( ) * + ; = : @ - and percent-encodings of the space or of non-ASCII"
_REGEX_CHARACTER = r"[A-Za-z0-9/._~!&=:@<>^$*+?()\[\]{}|-]"
_REGEX_WORDS = "a regular expression of letters, digits and / . _ ~ ! & = : @ < > ^ $ * + ? ( ) [ ] { } | - without {{"

NAME = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*"), "letters, digits, . _ and -, with no sign at its beginning", 128)
COLOR = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"), "letters, digits, _ and -, with no sign at its beginning", 32)
DOMAIN = Rule(re.compile(rf"(?:\*\.)?{_HOST}"), "a host name such as example.com, or *.example.com", 253)
PATH = Rule(re.compile(rf"/{_PATH_CHARACTER}*"), f"a path that begins with / and holds only {_PATH_WORDS}", 1024)
PATH_PART = Rule(re.compile(rf"{_PATH_CHARACTER}+"), f"a part of a path that holds only {_PATH_WORDS}", 1024)
REGEX = Rule(re.compile(rf"(?!.*\{{\{{){_REGEX_CHARACTER}+"), _REGEX_WORDS, 512)
# No "%": HAProxy reads the replacement as a log-format string.
REPLACEMENT = Rule(re.compile(r"[A-Za-z0-9/._~!&=:@*+;-]*"), "letters, digits and / . _ ~ ! & = : @ * + ; -", 512)
_ADDRESS = re.compile(rf"(?P<host>{_HOST}|\[[0-9A-Fa-f:.]{{2,45}}\]):(?P<port>[0-9]{{1,5}})")
_ADDRESS_WORDS = "host:port with a port from 1 to 65535; an IPv6 address in [ ]"


def check(rule: Rule, parameter: str, value: Any) -> str:
    """One value against its rule.

    :param parameter: what the person who gave the value calls it.
    :return: the value.
    :raises UsageError: for anything but a string that the rule allows.
    """
    if isinstance(value, str) and len(value) <= rule.longest and rule.pattern.fullmatch(value):
        return value
    raise _refused(parameter, value, f"{rule.allowed}, {rule.longest} characters at the most")


def check_service(value: Any, parameter: str = "service") -> str:
    """A name that can be a service in the registry, a key in its KV and a backend in HAProxy."""
    return check(NAME, parameter, value)


def check_path(value: Any, path_type: str = "path_beg", parameter: str = "path") -> str:
    """A path to route, in the form that its ``path_type`` compares with."""
    if path_type == "path_reg":
        return _check_regex(value, parameter)
    path = check(PATH if path_type in _ANCHORED else PATH_PART, parameter, value)
    # A client or a server that resolves dot segments would see another path than the one that is routed.
    if any(segment in (".", "..") for segment in path.split("/")):
        raise _refused(parameter, value, "a path without the segments . and ..")
    return path


def check_domain(value: Any, parameter: str = "domain") -> str:
    return check(DOMAIN, parameter, value)


def parse_address(value: Any, parameter: str = "address") -> Address:
    """``host:port`` as an :class:`Address`; the inverse of its ``str``."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) and len(value) <= DOMAIN.longest + 6 else None
    if not match or not 0 < int(match["port"]) < 65536:
        raise _refused(parameter, value, _ADDRESS_WORDS)
    return Address(match["host"].strip("[]"), int(match["port"]))


def check_route(route: Route, words: Mapping[str, str] | None = None) -> None:
    """Every value of a route, before anything is done with it.

    :param words: the caller's word for a field where it differs: ``{"paths": "--path"}``.
    :raises UsageError: for the first value that its grammar does not allow.
    """
    word = {"service": "service", **(words or {})}
    check_service(route.service, word["service"])
    _check_matching(route, word)
    for name, rule in (("color", COLOR), ("acl_name", NAME)):
        if getattr(route, name) != "":
            check(rule, word.get(name, name), getattr(route, name))
    if not isinstance(route.skip_check, bool):
        raise _refused(word.get("skip_check", "skip_check"), route.skip_check, "true or false")
    if type(route.slow_start) not in (int, float) or not 0 <= route.slow_start <= LONGEST_SLOW_START:
        raise _refused(
            word.get("slow_start", "slow_start"),
            route.slow_start,
            f"a number of seconds from 0 to {LONGEST_SLOW_START}",
        )
    _check_rewrite(route, word)
    if route.outbound_hostname != "":
        parse_address(route.outbound_hostname, word.get("outbound_hostname", "outbound_hostname"))


def _check_matching(route: Route, word: Mapping[str, str]) -> None:
    path_type, paths, domains = (word.get(name, name) for name in ("path_type", "paths", "domains"))
    if route.path_type not in PATH_TYPES:
        raise _refused(path_type, route.path_type, ", ".join(PATH_TYPES))
    for parameter, values, most in ((paths, route.paths, MOST_PATHS), (domains, route.domains, MOST_DOMAINS)):
        if not isinstance(values, tuple):
            raise _refused(parameter, values, "a list")
        if len(values) > most:
            raise UsageError(f"{parameter}: {len(values)} values: {most} at the most are allowed")
    if not route.paths and not route.domains:
        raise UsageError(
            f"the route of {route.service} has neither a path nor a domain", f"give {paths} or {domains}, or both"
        )
    for value in route.paths:
        check_path(value, route.path_type, paths)
    for value in route.domains:
        check_domain(value, domains)


def _check_rewrite(route: Route, word: Mapping[str, str]) -> None:
    search, replace = (word.get(name, name) for name in ("req_path_search", "req_path_replace"))
    check(REPLACEMENT, replace, route.req_path_replace)
    if route.req_path_search != "":
        _check_regex(route.req_path_search, search)
    elif route.req_path_replace:
        raise UsageError(f"{replace} {shown(route.req_path_replace)} is given without {search}")


def _check_regex(value: Any, parameter: str) -> str:
    regex = check(REGEX, parameter, value)
    try:
        re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"{parameter} {shown(value)} is not a regular expression: {error}") from error
    return regex


def _refused(parameter: str, value: Any, allowed: str) -> UsageError:
    return UsageError(f"{parameter} {shown(value)} is not allowed: it must be {allowed}")


def shown(value: Any) -> str:
    """A value for an error's line, in quotes; of a long one its beginning and its length."""
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... ({len(value) if isinstance(value, str) else len(text)} characters)"

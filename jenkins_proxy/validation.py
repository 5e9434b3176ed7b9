"""Strict grammars: what a value may look like before it comes near a configuration line, a map file or a KV key.

Pure. The first line against injection, not the last one: rendering quotes, and ``haproxy -c`` reads the result.
Errors name the parameter in the caller's own word (``--path``, ``servicePath``, ``paths``), the value, and what is
allowed.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import regular_expressions
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address

PATH_TYPES = ("path", "path_beg", "path_dir", "path_dom", "path_end", "path_reg", "path_sub")
# These compare with the path's beginning, so a value that does not begin with "/" could never match.
_ANCHORED = ("path", "path_beg")
_SHOWN_LENGTH = 60
_NEAR = 0.65


@dataclass(frozen=True)
class Rule:
    """What a value may be.

    :ivar pattern: matches the whole value.
    :ivar allowed: the same in words, for the error's text.
    :ivar max_length: in characters.
    """

    pattern: re.Pattern[str]
    allowed: str
    max_length: int


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
HOST_PART = Rule(re.compile(rf"(?:\*?\.)?{_HOST}\.?"), "a part of a host name, such as api. or .example.com", 253)
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
    if isinstance(value, str) and len(value) <= rule.max_length and rule.pattern.fullmatch(value):
        return value
    raise not_allowed(parameter, value, f"{rule.allowed}, {rule.max_length} characters at the most")


def check_service(value: Any, parameter: str = "service") -> str:
    """A name that can be a service in the registry, a key in its KV and a backend in HAProxy."""
    return check(NAME, parameter, value)


def check_path(value: Any, path_type: str = "path_beg", parameter: str = "path") -> str:
    """A path to route, in the form that its ``path_type`` compares with."""
    if path_type == "path_reg":
        return check_regex(value, parameter)
    path = check(PATH if path_type in _ANCHORED else PATH_PART, parameter, value)
    # A client or a server that resolves dot segments would see another path than the one that is routed.
    if any(segment in (".", "..") for segment in path.split("/")):
        raise not_allowed(parameter, value, "a path without the segments . and ..")
    return path


def check_page(value: Any, parameter: str) -> str:
    """A path to request, with or without a query.

    :return: the value.
    """
    path, mark, query = value.partition("?") if isinstance(value, str) else (value, "", "")
    check_path(path, parameter=parameter)
    if query or mark:
        check(PATH_PART, parameter, query)
    return str(value)


def check_domain(value: Any, parameter: str = "domain") -> str:
    """A host name, or ``*.`` and a host name."""
    return check(DOMAIN, parameter, value)


def parse_address(value: Any, parameter: str = "address") -> Address:
    """``host:port`` as an :class:`Address`; the inverse of its ``str``."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) and len(value) <= DOMAIN.max_length + 6 else None
    if not match or not 0 < int(match["port"]) < 65536:
        raise not_allowed(parameter, value, _ADDRESS_WORDS)
    return Address(match["host"].strip("[]"), int(match["port"]))


def check_network(value: Any, parameter: str = "network") -> str:
    """A network such as ``10.0.0.0/8``, or an address.

    :return: the network as HAProxy takes it.
    :raises UsageError: when it is none.
    """
    try:
        if isinstance(value, str) and len(value) <= _SHOWN_LENGTH and "%" not in value:
            return str(ipaddress.ip_network(value))
    except ValueError as error:
        if "host bits" in str(error):
            allowed = f"the network's own address: {ipaddress.ip_network(value, strict=False)}"
            raise not_allowed(parameter, value, allowed) from error
    raise not_allowed(parameter, value, "a network such as 10.0.0.0/8 or 2001:db8::/32, or an address")


def parse_json(data: bytes | str) -> Any:
    """JSON as its standard has it, in UTF-8 and with numbers that are finite.

    Python's own reader takes NaN and the infinities, too: a timer that is given one never fires again.

    :raises ValueError: for anything else.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:_SHOWN_LENGTH])


def whole(text: str, most: int) -> int | None:
    """A whole number from 0 to ``most`` in plain digits; None for any other text.

    Python's own reader takes the digits of every script, signs, spaces and underscores, too.
    """
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None


def check_flag(value: Any, parameter: str) -> None:
    """:raises UsageError: for anything but true and false."""
    if not isinstance(value, bool):
        raise not_allowed(parameter, value, "true or false")


def check_seconds(value: Any, parameter: str, maximum: float) -> None:
    """A number of seconds from 0 to ``maximum``.

    :raises UsageError: for anything else; true and false are no numbers here.
    """
    if type(value) not in (int, float) or not 0 <= value <= maximum:
        raise not_allowed(parameter, value, f"a number of seconds from 0 to {maximum:g}")


def check_regex(value: Any, parameter: str, *, fold: bool = False) -> str:
    """A regular expression, as HAProxy's library and Python's both read it.

    :param fold: whether it is compared without regard to capitals.
    :return: the value.
    :raises UsageError: when it is none, has signs that a configuration line cannot hold, or may take HAProxy too long.
    """
    text = check(REGEX, parameter, value)
    _text, foreign = regular_expressions.for_python(text)
    if foreign:
        raise UsageError(f"{parameter} {shown(value)} is not a regular expression: HAProxy's library has no {foreign}")
    try:
        regular_expressions.compiled(text)
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        raise UsageError(f"{parameter} {shown(value)} is not a regular expression: {error}") from error
    reason = regular_expressions.cost(text, fold=fold).danger
    if reason:
        raise UsageError(
            f"{parameter} {shown(value)} could take HAProxy too long for some paths: {reason}",
            "begin it with ^, say [^/]* for .*, and let each round begin with a sign that it does not hold: (/[a-z]+)*",
        )
    return text


def not_allowed(parameter: str, value: Any, allowed: str) -> UsageError:
    """The error of a value that its grammar does not allow.

    :param allowed: what it must be, in words.
    """
    return UsageError(f"{parameter} {shown(value)} is not allowed: it must be {allowed}")


def meant(name: str, known: Iterable[str]) -> str:
    """What a name that does not exist may be a slip of: `` (is allowEmpty meant?)``; empty where nothing is near."""
    near = nearest(name, known)
    return f" (is {near} meant?)" if near else ""


def nearest(name: str, known: Iterable[str], likeness: float = _NEAR) -> str:
    """The known name that is most like another one; empty where none is.

    :param likeness: from 0 to 1, as difflib counts; ``proxy`` and ``proxies`` have 0.67.
    """
    import difflib  # here, as it is for slips alone

    plain = {_plain(word): word for word in known}
    near = difflib.get_close_matches(_plain(name[:_SHOWN_LENGTH]), plain, 1, likeness)
    return plain[near[0]] if near else ""


def _plain(name: str) -> str:
    """Without what tells the ways of writing apart: allow_empty, allow-empty, allowEmpty."""
    return re.sub(r"[-_]", "", name).lower()


def few(items: Iterable[object], most: int = 3, *, separator: str = ", ") -> str:
    """The first of some things in a list, and how many more there are: a message is one line."""
    listed = [str(item) for item in items]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more


def shown(value: Any) -> str:
    """A value as an error's line shows it: in quotes, and of a long one only its beginning and its length."""
    text = repr(value)
    if len(text) <= _SHOWN_LENGTH:
        return text
    return f"{text[:_SHOWN_LENGTH]}... ({len(value) if isinstance(value, str) else len(text)} characters)"

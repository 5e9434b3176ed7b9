"""Grammars of what a route says about HTTP: headers, methods, users. Pure.

As in :mod:`jenkins_proxy.validation`, errors name the parameter in the caller's word, the value and what is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.validation import Rule, check, not_allowed

METHOD = Rule(re.compile(r"[A-Z][A-Z-]*"), "a method such as GET, in capital letters", 20)
AGENT = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/();:+-]*"), "a part of a User-Agent header, without a comma", 128)
CONTENT_TYPE = Rule(re.compile(r"[a-z]+/[a-z0-9.+-]+"), "a content type such as text/css", 100)
HEADER_NAME = Rule(re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"), "the name of a header", 64)
HEADER_VALUE = Rule(re.compile(r"[!-~](?:[ -~]*[!-~])?"), "printable ASCII, with no space at either end", 1024)
FETCHES = ("src", "src_port", "dst", "dst_port", "hostname")
"""What HAProxy may put into a header in place of ``%[...]``: nothing that shows its environment or its files."""

TLS_NAME = "req.ssl_sni"
"""The ``domain_algo`` of a route of connections whose domains are names in TLS, without those below them."""

_FRAMING = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer")
    + ("transfer-encoding", "upgrade")
)
_OURS = "x-jenkins-proxy-"
_HEADER = re.compile(r"(?P<name>[^\s:]+)(?::[ ]*|[ ]+)(?P<value>.*)", re.DOTALL)
_CONDITION = re.compile(r"(?P<value>.*?) +(?P<word>if|unless) +(?P<no>!?) *\{ *ssl_fc *\}")
_ANY_CONDITION = re.compile(r"(?:^| )(?:if|unless) +!? *\{")
_FETCH = re.compile(r"%\[([^\]]*)\]?")
# Between "rounds=" of crypt's SHA-256 and SHA-512: HAProxy pays for them with each request, 0.5 ms a thousand.
_MAX_ROUNDS = 20_000
_USER_NAME = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*"), "a name of letters, digits and . _ @ -", 64)
_SALT = r"(?:rounds=(?P<rounds>[1-9][0-9]{3,4})\$)?[./A-Za-z0-9]{1,16}"
_HASH = re.compile(
    rf"\$(?:5\${_SALT}\$[./A-Za-z0-9]{{43}}|6\${_SALT.replace('<rounds', '<more')}\$[./A-Za-z0-9]{{86}})"
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
HASH_HINT = "hash it with: openssl passwd -6"


@dataclass(frozen=True)
class Header:
    """A header that is added or set.

    :ivar value: with ``%[...]`` where HAProxy puts something in.
    :ivar secure: only on requests that came by HTTPS, or, when it is False, only on the others; None: on all.
    """

    name: str
    value: str
    secure: bool | None = None


def parse_header(text: Any, parameter: str) -> Header:
    """``X-Name value`` or ``X-Name: value``, perhaps in double quotes, and with ``if { ssl_fc }`` behind it.

    :raises UsageError: for anything else, for a header that HAProxy needs itself, and for a value that shows more of it
        than a connection's addresses.
    """
    match = _HEADER.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise not_allowed(parameter, text, "a header's name and value: X-Name value")
    secure = None
    value = match["value"]
    condition = _CONDITION.fullmatch(value)
    if condition:
        value, secure = condition["value"], (condition["word"] == "if") is not bool(condition["no"])
    if len(value) > 1 and value[0] == value[-1] == '"':
        # As in a line of HAProxy's configuration, where a value with spaces stands in quotes.
        value = value[1:-1].replace('\\"', '"')
    _check_value(value, text, parameter)
    return Header(_header_name(match["name"], text, parameter), value, secure)


def _check_value(value: str, text: str, parameter: str) -> None:
    if not HEADER_VALUE.pattern.fullmatch(value) or len(value) > HEADER_VALUE.max_length:
        raise not_allowed(parameter, text, f"a header's name and value of {HEADER_VALUE.allowed}")
    if _ANY_CONDITION.search(value):
        raise not_allowed(parameter, text, "a header without a condition, or with: if { ssl_fc }")
    if any(name not in FETCHES for name in _FETCH.findall(value)):
        known = ", ".join(f"%[{name}]" for name in FETCHES)
        raise not_allowed(parameter, text, f"a value with none but these of HAProxy's expressions: {known}")


def _header_name(name: str, text: Any, parameter: str) -> str:
    if not HEADER_NAME.pattern.fullmatch(name) or len(name) > HEADER_NAME.max_length:
        raise not_allowed(parameter, text, "a header whose name holds letters, digits, _ and -")
    if name.lower() in _FRAMING or name.lower().startswith(_OURS):
        raise not_allowed(parameter, text, "another header: the proxy needs this one itself")
    return name


def check_header(text: Any, parameter: str) -> None:
    """:raises UsageError: for what is no header with a value that may be added or set."""
    parse_header(text, parameter)


def check_header_name(name: Any, parameter: str) -> None:
    """:raises UsageError: for what is no name of a header that may be deleted."""
    _header_name(check(HEADER_NAME, parameter, name), name, parameter)
    if name.lower() == "host":
        raise not_allowed(parameter, name, "another header: no request is without this one")


def check_header_match(text: Any, parameter: str) -> None:
    """A header that a request must have: ``X-Version:3``. :raises UsageError: for anything else."""
    name, colon, value = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon or not HEADER_VALUE.pattern.fullmatch(value) or len(value) > HEADER_VALUE.max_length:
        raise not_allowed(parameter, text, "a header's name and value: X-Version:3")
    _header_name(name, text, parameter)


def check_user(text: Any, parameter: str) -> None:
    """``name:hash``, as crypt(3) makes hashes by SHA-256 or SHA-512.

    :raises UsageError: for anything else; its text never repeats what may be a password.
    """
    name, colon, password = text.partition(":") if isinstance(text, str) else (text, "", "")
    check(_USER_NAME, parameter, name)
    match = _HASH.fullmatch(password)
    if not match:
        raise UsageError(
            f"{parameter} {validation.shown(name)}: what follows its colon is not a password's hash ($5$ or $6$)",
            HASH_HINT,
        )
    rounds = int(match["rounds"] or match["more"] or 0)
    if rounds > _MAX_ROUNDS:
        raise UsageError(
            f"{parameter} {validation.shown(name)}: {rounds} rounds are too slow for each request: "
            f"{_MAX_ROUNDS} at the most are allowed",
            HASH_HINT,
        )


def check_port(text: Any, parameter: str) -> None:
    """A port, or nothing. :raises UsageError: for anything else."""
    if text != "" and not (isinstance(text, str) and _PORT.fullmatch(text) and int(text) < 65536):
        raise not_allowed(parameter, text, "a port from 1 to 65535")


def check_user_name(name: Any, parameter: str) -> None:
    """:raises UsageError: for what cannot be the name of a user."""
    check(_USER_NAME, parameter, name)


def check_rewrites(text: Any, parameter: str) -> None:
    """``search,replace``, several of them with a colon in between. :raises UsageError: for anything else."""
    if text == "":
        return
    pairs = text.split(":") if isinstance(text, str) else []
    if not pairs or len(pairs) > 10 or any(pair.count(",") != 1 for pair in pairs):
        raise not_allowed(parameter, text, "search,replace or search,replace:search,replace, 10 of them at the most")
    for search, _, replace in (pair.partition(",") for pair in pairs):
        validation.check_regex(search, parameter)
        check(validation.REPLACEMENT, parameter, replace)

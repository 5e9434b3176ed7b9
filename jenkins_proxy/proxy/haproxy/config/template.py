"""The templates of HAProxy's configuration, and how a value is written into them so that it means itself."""

from __future__ import annotations

import functools
import ipaddress
import re

import jinja2

from jenkins_proxy import regular_expressions, validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.haproxy.config.route_keys import ConditionKind, Key
from jenkins_proxy.proxy.haproxy.names import server_name
from jenkins_proxy.resources import resource
from jenkins_proxy.route_options.http_values import FETCHES

_EXPRESSION = re.compile(rf"(%\[(?:{'|'.join(FETCHES)})\])")


@functools.cache
def template(name: str) -> jinja2.Template:
    """A template of ``resources/jenkins_proxy/haproxy``, with the filters below. :param name: of its file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("haproxy")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is no HTML; the filters below check each value
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(quoted=quoted, argument=argument, word=word, milliseconds=milliseconds, steep=steep)
    environment.filters.update(long_paths=_costs_by_long_paths, network=network)
    environment.filters.update(log_format=log_format, literal=literal, server_name=server_name)
    environment.globals["longest"] = regular_expressions.LONGEST
    # A name in DNS has no more; a longer one could take a regular expression long.
    environment.globals["longest_host"] = 253
    return environment.get_template(name)


def quoted(value: str) -> str:
    """In HAProxy's strong quotes, within which nothing has a meaning (configuration manual, section 2.2)."""
    if "'" in value or not value.isascii() or not value.isprintable():
        raise UsageError(f"{value!r} cannot stand in HAProxy's configuration")
    return f"'{value}'"


def log_format(value: str) -> str:
    """A header's value, in which only ``%[...]`` of a few fetches has a meaning (section 8.2.6)."""
    literals = _EXPRESSION.split(value)
    # Every second part is an expression, as it is in parentheses.
    escaped = (part if number % 2 else part.replace("%", "%%") for number, part in enumerate(literals))
    return literal("".join(escaped))


def literal(value: str) -> str:
    """As :func:`quoted`, for texts that may have strong quotes themselves."""
    return "\\'".join(quoted(part) for part in value.split("'"))


def argument(value: str) -> str:
    """One argument of a converter, in double quotes: for use within strong quotes."""
    if any(sign in value for sign in "'\"\\") or not value.isascii() or not value.isprintable():
        raise UsageError(f"{value!r} cannot stand in HAProxy's configuration")
    return f'"{value}"'


def word(value: str) -> str:
    """A name or an address: no character in it may have a meaning of its own."""
    if not value or not all(char.isascii() and (char.isalnum() or char in "._:*[]/@-") for char in value):
        raise UsageError(f"{value!r} is not a name or an address that HAProxy takes")
    return value


def steep(pattern: str) -> bool:
    """Whether long paths are kept from a regular expression."""
    return regular_expressions.cost(pattern).steep


def _costs_by_long_paths(key: Key) -> bool:
    """Whether long paths are kept from an irregular key: from its own expression, or from one that it does not take."""
    others = (path for own in key.conditions if own.kind is ConditionKind.OTHER_PATH for path in own.values)
    return key.path_type == "path_reg" and any(map(steep, (key.path, *others)))


def network(value: str) -> str:
    """A network in the form in which HAProxy compares it with addresses of both kinds, and with no others.

    In IPv4's own form it has some addresses of IPv6, too: ::1 as 0.0.0.1, and 2002:a00:1::1 as 10.0.0.1.
    """
    own = ipaddress.ip_network(validation.check_network(value))
    return f"::ffff:{own.network_address}/{96 + own.prefixlen}" if own.version == 4 else str(own)


def milliseconds(seconds: float) -> str:
    """A time by HAProxy's spelling."""
    return f"{round(seconds * 1000)}ms"

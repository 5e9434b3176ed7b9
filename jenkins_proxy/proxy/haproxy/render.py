"""Routes and addresses in, the text of haproxy.cfg and of its map files out. Pure.

Sources: HAProxy's configuration manual 2.6, sections 4.2 ("http-request", "retry-on", "option redispatch"),
5.2 (server options) and 7.3.1 (converters "field", "map_beg"); the same text is valid for 3.0.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import jinja2

from jenkins_proxy import regular_expressions, validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy import candidate_map, ring, route_defaults, route_table
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.entry import access_log
from jenkins_proxy.proxy.haproxy.entry.options import ACME_BACKEND, ACME_PATH, CERTIFICATE_LIST, Entry
from jenkins_proxy.proxy.haproxy.route_defaults import RouteDefaults
from jenkins_proxy.proxy.haproxy.route_table import ConditionKind, Key, Table, server_name
from jenkins_proxy.proxy.route_check import route_check
from jenkins_proxy.resources import resource
from jenkins_proxy.route_options.http_values import FETCHES, parse_header

CONFIG = "haproxy.cfg"
PROBE_FILE = "probe.key"
OWN_HEADERS = "X-Jenkins-Proxy-"
PROBE_HEADER = f"{OWN_HEADERS}Probe"
INSTANCE_HEADER = f"{OWN_HEADERS}Instance"
CANDIDATE_HEADER = f"{OWN_HEADERS}Candidate"
DESCRIPTION = "jenkins-proxy"


@dataclass(frozen=True)
class Timeouts:
    """Seconds, by HAProxy's names. The defaults are those of Docker Flow: Proxy (its ``TIMEOUT_*`` variables)."""

    connect: float = 5
    client: float = 20
    server: float = 20
    queue: float = 30
    http_request: float = 5
    http_keep_alive: float = 15
    tunnel: float = 3600

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Timeouts:
        """From ``TIMEOUT_CONNECT``, ``TIMEOUT_CLIENT`` … in seconds.

        :raises UsageError: for one that is not a positive number.
        """
        given = {}
        for timeout in fields(cls):
            variable = f"TIMEOUT_{timeout.name.upper()}"
            if environ.get(variable):
                given[timeout.name] = _seconds(variable, environ[variable])
        return cls(**given)


@dataclass(frozen=True)
class Options:
    """What holds for the whole of HAProxy.

    :ivar binds: addresses to listen on, in HAProxy's words: ``*:80``.
    :ivar tcp_binds: the same, of connections that are not HTTP's.
    :ivar hard_stop_after: seconds that connections of before a reload may live on.
    :ivar user: whose rights HAProxy has after its start by root; ``group`` likewise.
    :ivar route_defaults: what holds for every route that does not say otherwise.
    :ivar max_header: how many bytes the headers of a request or an answer may have; 0 means what HAProxy takes by
        itself: about 15 kB.
    :ivar entry: what users meet beside the routes: TLS and what else holds for all of them.
    """

    binds: tuple[str, ...] = ("*:80",)
    timeouts: Timeouts = field(default_factory=Timeouts)
    hard_stop_after: float = 3600
    user: str = ""
    group: str = ""
    max_header: int = 0
    tcp_binds: tuple[str, ...] = ()
    route_defaults: RouteDefaults = route_defaults.NONE
    entry: Entry = Entry()

    @property
    def ports(self) -> frozenset[str]:
        """Where requests come in."""
        https = self.entry.tls.binds if self.entry.tls else ()
        return frozenset(bind.rpartition(":")[2] for bind in (*self.binds, *https))

    @property
    def tcp_ports(self) -> frozenset[str]:
        """Where connections come in that are not HTTP's."""
        return frozenset(bind.rpartition(":")[2] for bind in self.tcp_binds)

    @property
    def rewrite_size(self) -> int:
        """The part of a buffer, in bytes, that is left for headers that HAProxy adds."""
        return 2048

    @property
    def buffer_size(self) -> int:
        """The size of a buffer, in bytes, that takes the longest header: HAProxy keeps 8 bytes more for each line."""
        return self.max_header + self.rewrite_size + 1024


@dataclass(frozen=True)
class Rendered:
    """The files, by name.

    :ivar maps: those, and error pages. Their names come from their contents: a new version never overwrites the one
        that the running or the last good configuration reads.
    :ivar runtime_maps: those that the Runtime API changes, by a name that stays.
    """

    config: str
    maps: Mapping[str, str]
    runtime_maps: Mapping[str, str] = field(default_factory=dict)


def server_options(route: Route) -> str:
    """The keywords of a server, the same on its line in the file and in ``add server``.

    Said in full, as a server that is added at run time takes nothing from ``default-server``; without ``pool-max-conn``
    it would keep no idle connection at all (seen with 2.6). Checks are rare, so that ten thousand servers cost little,
    and real requests that fail to connect count as failed checks: two of them take the server out at once.
    """
    common = "pool-purge-delay 5s pool-max-conn -1"
    if route.proto:
        common += f" proto {word(route.proto)}"
    if route.slow_start:
        common += f" slowstart {milliseconds(route.slow_start)}"
    if route.skip_check:
        return common
    return (
        "check inter 30s fastinter 1s downinter 2s fall 2 rise 1 "
        f"observe layer4 error-limit 1 on-error fail-check {common}"
    )


def render(backends: Iterable[Backend], options: Options, version: int) -> Rendered:
    """The whole configuration.

    :param version: goes into ``description``, which distinguishes the running HAProxy from its predecessor.
    :raises UsageError: for a value that cannot stand in a configuration, however it is quoted.
    """
    return Renderer(options).render(backends, version)


class Renderer:
    """Renders again and again what hardly changes: only the blocks of backends that differ from the last time."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._layouts: list[tuple[Route | None, str, Route | None]] | None = None
        self._head = ""
        self._maps: Mapping[str, str] = {}
        self._blocks: dict[str, tuple[Backend, str]] = {}

    def render(self, backends: Iterable[Backend], version: int) -> Rendered:
        """As :func:`render`."""
        ordered = sorted(backends, key=lambda backend: backend.route.service)
        defaults = self._options.route_defaults
        if defaults != route_defaults.NONE:
            ordered = [defaults.backend(backend) for backend in ordered]
        layouts = [backend.layout for backend in ordered]
        if layouts != self._layouts:
            self._maps, self._head = _head(ordered, self._options)
            self._layouts = layouts
        self._blocks = {backend.route.service: self._block(backend) for backend in ordered}
        head = self._head.replace(_VERSION, str(version), 1)
        config = head + "".join(text for _backend, text in self._blocks.values())
        return Rendered(config, self._maps, {candidate_map.FILE: candidate_map.text(ordered)})

    @property
    def maps(self) -> Mapping[str, str]:
        """The map files of the last time. Error pages are none: HAProxy cannot be asked for them."""
        pages = set(self._options.entry.page_files.values())
        return {name: text for name, text in self._maps.items() if name not in pages}

    def _block(self, backend: Backend) -> tuple[Backend, str]:
        before = self._blocks.get(backend.route.service)
        return before if before and before[0] == backend else (backend, _block(backend, self._options))


_VERSION = "@version@"
_SPECIAL = tuple(
    ["redirect_from_domain", "https_only", "redirect_when_http_proto", "redirect_unless_https_proto", "deny_http"]
    + ["allowed_methods", "denied_methods", "users"]
    + [f"{verb}_{side}_header" for verb in ("add", "set", "del") for side in ("req", "res")]
)
_EXPRESSION = re.compile(rf"(%\[(?:{'|'.join(FETCHES)})\])")


@dataclass(frozen=True)
class _Search:
    """A search for the backend of a request, as the template writes it.

    :ivar hold_id: whose keyed requests it is for, by ``key_sha256``; empty for everybody else's.
    :ivar exact: the name of its map of equal paths, ``prefix`` likewise; empty where it has none.
    """

    table: Table
    exact: str = ""
    prefix: str = ""
    hold_id: str = ""
    key_sha256: str = ""


def _head(backends: Sequence[Backend], options: Options) -> tuple[Mapping[str, str], str]:
    """All that does not depend on the addresses: the maps, and the text up to the backends."""
    pages = options.entry.page_files
    maps = {pages[status]: text for status, text in options.entry.error_pages.items()}
    public = {backend.route.service: backend.route for backend in backends if backend.public}
    users = _search(public.values(), maps)
    # Keyed requests go where they would once the held route is everybody's.
    keyed = [
        _search({**public, held.service: held}.values(), maps, backend.keyed)
        for backend in backends
        if backend.keyed and (held := backend.held_route)
    ]
    head = _template("haproxy.cfg.j2").render(
        description=f"{DESCRIPTION} {_VERSION}",
        options=options,
        users=users,
        keyed=keyed,
        by_host=any(
            search.table.levels[0].depth != route_table.NO_HOST for search in (users, *keyed) if search.table.levels
        ),
        candidates=candidate_map.FILE,
        slots=candidate_map.SLOTS,
        candidate_header=CANDIDATE_HEADER,
        tcp=[(bind, route_table.connections(public.values(), bind.rpartition(":")[2])) for bind in options.tcp_binds],
        no_host=route_table.NO_HOST,
        part_of_host=route_table.PART_OF_HOST,
        no_route=route_table.NO_ROUTE,
        probe_file=PROBE_FILE,
        own_headers=OWN_HEADERS,
        probe_header=PROBE_HEADER,
        instance_header=INSTANCE_HEADER,
        ring=ring.RING,
        log_format=ring.LOG_FORMAT,
        longest_line=access_log.MAX_LINE,
        logged_host=access_log.HOST,
        logged_referer=access_log.REFERER,
        logged_agent=access_log.AGENT,
        pages=pages,
        certificate_list=CERTIFICATE_LIST,
        acme_backend=ACME_BACKEND,
        acme_path=ACME_PATH,
    )
    return maps, head


def _search(routes: Iterable[Route], maps: dict[str, str], keyed: KeyedAccess | None = None) -> _Search:
    """The search for these routes; its map files are added to ``maps``."""
    table = route_table.table(routes)
    names = {}
    for kind, entries in (("exact", table.exact), ("prefix", table.prefix)):
        if entries:
            text = "".join(f"{key} {backend}\n" for key, backend in sorted(entries.items()))
            names[kind] = f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.map"
            maps[names[kind]] = text
    if keyed is None:
        return _Search(table, **names)
    return _Search(table, **names, hold_id=keyed.hold_id, key_sha256=keyed.key_sha256)


def _block(backend: Backend, options: Options) -> str:
    servers = [
        (server_name(address), address, _options(backend, state))
        for address, state in sorted(backend.servers.items())
        if state is not ServerState.DRAINING
    ]
    held = backend.held_route
    return _template("tcp.cfg.j2" if backend.route.tcp else "backend.cfg.j2").render(
        name=route_table.backend_name(backend.route.service),
        route=backend.route,
        special=_is_special(backend.route) or (held is not None and _is_special(held)),
        held=held or backend.route,
        servers=servers,
        counted_map=ring.COUNTED_MAP,
        check=route_check(backend.route),
        candidates=candidate_map.FILE,
        https_suffix=options.entry.https_suffix,
        parse_header=lambda text: parse_header(text, "header"),
    )


def _is_special(route: Route) -> bool:
    """Whether a route has rules of its own for requests or answers."""
    return any(getattr(route, name) for name in _SPECIAL)


def _options(backend: Backend, state: ServerState) -> str:
    weight = "weight 0 " if state is ServerState.CANDIDATE else ""
    return weight + server_options(backend.server_route(state))


@functools.cache
def _template(name: str) -> jinja2.Template:
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
    return f"{round(seconds * 1000)}ms"


def _seconds(variable: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds < 2_000_000:
        raise UsageError(f"{variable}={text!r} is not a number of seconds", "for example TIMEOUT_SERVER=20")
    return seconds

"""Routes and addresses in, the text of haproxy.cfg and of its map files out. Pure.

Sources: HAProxy's configuration manual 2.6, sections 4.2 ("http-request", "retry-on", "option redispatch"),
5.2 (server options) and 7.3.1 (converters "field", "map_beg"); the same text is valid for 3.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy import ring
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config import candidate_map, route_defaults, route_table
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.route_keys import NO_HOST, PART_OF_HOST
from jenkins_proxy.proxy.haproxy.config.route_table import Table
from jenkins_proxy.proxy.haproxy.config.template import milliseconds, template, word
from jenkins_proxy.proxy.haproxy.entry import access_log
from jenkins_proxy.proxy.haproxy.entry.options import ACME_BACKEND, ACME_PATH, CERTIFICATE_LIST
from jenkins_proxy.proxy.haproxy.names import NO_ROUTE, backend_name, server_name
from jenkins_proxy.proxy.route_check import route_check
from jenkins_proxy.route_options.http_values import parse_header

CONFIG = "haproxy.cfg"
PROBE_FILE = "probe.key"
OWN_HEADERS = "X-Jenkins-Proxy-"
PROBE_HEADER = f"{OWN_HEADERS}Probe"
INSTANCE_HEADER = f"{OWN_HEADERS}Instance"
CANDIDATE_HEADER = f"{OWN_HEADERS}Candidate"
DESCRIPTION = "jenkins-proxy"


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
    head = template("haproxy.cfg.j2").render(
        description=f"{DESCRIPTION} {_VERSION}",
        options=options,
        users=users,
        keyed=keyed,
        by_host=any(search.table.levels[0].depth != NO_HOST for search in (users, *keyed) if search.table.levels),
        candidates=candidate_map.FILE,
        slots=candidate_map.SLOTS,
        candidate_header=CANDIDATE_HEADER,
        tcp=[(bind, route_table.connections(public.values(), bind.rpartition(":")[2])) for bind in options.tcp_binds],
        no_host=NO_HOST,
        part_of_host=PART_OF_HOST,
        no_route=NO_ROUTE,
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
    return template("tcp.cfg.j2" if backend.route.tcp else "backend.cfg.j2").render(
        name=backend_name(backend.route.service),
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

"""What holds for the whole of HAProxy: where it listens, its times, its rights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.haproxy.config import route_defaults
from jenkins_proxy.proxy.haproxy.config.route_defaults import RouteDefaults
from jenkins_proxy.proxy.haproxy.entry.options import Entry
from jenkins_proxy.validation import shown

_NUMBER = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")


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


def _seconds(variable: str, text: str) -> float:
    seconds = float(text) if _NUMBER.fullmatch(text) else 0.0
    if not 0.001 <= seconds < 2_000_000:
        raise UsageError(f"{variable}={shown(text)} is not a number of seconds", "for example TIMEOUT_SERVER=20")
    return seconds

"""The access log: its formats in HAProxy's words, and what the daemon reads of its lines itself. Pure.

HAProxy has one format for all logs of a frontend. So each line ends with what the daemon counts users by
(:data:`jenkins_proxy.proxy.haproxy.ring.LOG_FORMAT`), in JSON as fields of their own. The levels tell the two readers
apart: requests of counted services are ``alert`` and go to the daemon, too; all others are ``err``. So is what is no
request at all, by ``option log-separate-errors``, and what HAProxy says of itself is a ``warning``, and is not logged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from jenkins_proxy.model import Address

CLF, JSON = "clf", "json"
FORMATS = (CLF, JSON)
HOST, REFERER, AGENT = 256, 1024, 512
"""Bytes of these headers that are logged; HAProxy itself shortens a URI to 1024."""
MAX_LINE = 16384
"""Bytes, for the longest line: JSON has six for one control character, and a line that is cut would be no JSON."""
# What is no sign of ASCII could be a command of the terminal that shows it.
_ASCII = 'regsub("[^ -~]",?,g)'

_TEXTS = {
    "time": "%[date,utime(%Y-%m-%dT%H:%M:%SZ)]",
    "client": "%ci",
    # A method that is no token is no request, and has none here.
    "method": "%[capture.req.method]",
    "uri": "%[capture.req.uri,json(utf8s)]",
    "protocol": "%HV",
    "tls": "%sslv",
    "host": "%[var(txn.log_host),json(utf8s)]",
    "referer": "%[var(txn.log_referer),json(utf8s)]",
    "user_agent": "%[var(txn.log_agent),json(utf8s)]",
    "request_id": "%[var(txn.request_id),json(utf8s)]",
    "route": "%[be_name,regsub(-be$,)]",
    "instance": "%s",
    "termination": "%ts",
    "count": "%[var(txn.counted)]",
    "candidate": "%[var(txn.server)]",
    "probe": "%[var(txn.probe)]",
}
_NUMBERS = {
    "status": "%ST",
    "bytes": "%B",
    "request_ms": "%TR",
    "queue_ms": "%Tw",
    "connect_ms": "%Tc",
    "response_ms": "%Tr",
    "total_ms": "%Ta",
}
_COUNTED = ("count", "candidate", "probe", "status", "termination", "total_ms")


@dataclass(frozen=True)
class AccessLog:
    """How every request is logged.

    :ivar form: one of :data:`FORMATS`.
    :ivar file: where to; empty: to stdout.
    :ivar syslog: a syslog server's address, instead of both.
    """

    form: str
    file: str = ""
    syslog: Address | None = None

    @property
    def target(self) -> str:
        """Where to, in HAProxy's words. Files are its stdout, which the daemon opens for it."""
        return f"{self.syslog} len {MAX_LINE} format rfc5424" if self.syslog else f"stdout len {MAX_LINE} format raw"

    def log_format(self, counted: str, *, request_id: bool) -> str:
        """A line, in HAProxy's words.

        :param counted: what the daemon counts by.
        :param request_id: whether requests have IDs.
        """
        if self.form == JSON:
            texts = (
                f'"{name}":"{value if request_id or name != "request_id" else "-"}"' for name, value in _TEXTS.items()
            )
            numbers = (f'"{name}":{value}' for name, value in _NUMBERS.items())
            return f"{{{','.join((*texts, *numbers))}}}"
        return (
            # Its own option for quotes would leave nothing between them where there is no such header.
            f'%ci - - [%trg] %{{+Q}}r %ST %B "%{{+E}}[var(txn.log_referer),{_ASCII}]" '
            f'"%{{+E}}[var(txn.log_agent),{_ASCII}]" '
            f"{'%[var(txn.request_id)]' if request_id else '-'} %[be_name,regsub(-be$,)] %s %TR/%Tw/%Tc/%Tr {counted}"
        )


def counted_words(line: str) -> list[str]:
    """What the daemon counts by, of a line in either format; of any other line its last words."""
    if not line.startswith("{"):
        return line.split(" ")[-len(_COUNTED) :]
    try:
        fields = json.loads(line)
        return [str(fields[name]) for name in _COUNTED]
    except (ValueError, KeyError):
        return []

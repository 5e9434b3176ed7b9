"""Who changed what: a line in the log for each change that was asked for, and the last ones for those who may read."""

from __future__ import annotations

import collections
import dataclasses
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.proxy.access.callers import Caller

_LOG = logging.getLogger("jenkins_proxy.audit")

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST, _MOST_REFUSED = 500, 100
_SHOWN = 128
# Refused calls of one second that have lines of their own. Whoever is let in may write as many as there are changes.
_LINES_A_SECOND = 5


@dataclass(frozen=True)
class AuditEntry:
    """A change that was asked for.

    :ivar time: when it was answered, in seconds since 1970.
    :ivar caller: the name of the token, the common name of the certificate, or ``anonymous``.
    :ivar credential: how the caller is known: ``token``, ``certificate``, or empty.
    :ivar peer: the address that it came from.
    :ivar action: what was asked: ``put route``; with ``(dry run)`` where nothing was to be changed.
    :ivar service: which; empty where it concerns all.
    :ivar status: of the answer.
    """

    time: float
    request_id: str
    caller: str
    credential: str
    peer: str
    action: str
    service: str
    status: int

    @classmethod
    def of(cls, caller: Caller, *, service: str, peer: str, **more: Any) -> AuditEntry:
        """An entry; what a caller makes up is shortened.

        :param more: the other fields.
        """
        return cls(
            caller=caller.name, credential=caller.credential, service=service[:_SHOWN], peer=peer or "a socket", **more
        )

    def __str__(self) -> str:
        who = f"{self.caller} ({self.credential})" if self.credential else self.caller
        what = f"{self.action} {self.service}".rstrip()
        return f"audit: {who} from {self.peer}: {what}: {self.status} [{self.request_id}]"


def request_id(headers: Mapping[str, str]) -> str:
    """The ID of a request: the caller's, where that is one, else a new one."""
    given = headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class Audit:
    """The record of changes. It is in memory for readers, and in the log for good."""

    def __init__(self) -> None:
        self._answered: collections.deque[AuditEntry] = collections.deque(maxlen=_MOST)
        # Apart, so that who may nothing can not push out who changed what.
        self._refused: collections.deque[AuditEntry] = collections.deque(maxlen=_MOST_REFUSED)
        self._second, self._lines, self._left_out = 0, 0, 0

    def record(self, entry: AuditEntry) -> None:
        """Take an entry."""
        refused = entry.status in (401, 403)
        (self._refused if refused else self._answered).append(entry)
        if refused and not self._has_line(entry):
            self._left_out += 1
            return
        if self._left_out:
            _LOG.warning("audit: %d more calls were refused", self._left_out)
            self._left_out = 0
        fields = {name: value for name, value in dataclasses.asdict(entry).items() if name != "time"}
        _LOG.log(logging.WARNING if refused else logging.INFO, "%s", entry, extra=fields)

    def latest(self, most: int) -> list[AuditEntry]:
        """The last entries, the newest first."""
        every = sorted([*self._answered, *self._refused], key=lambda entry: entry.time, reverse=True)
        return every[:most]

    def _has_line(self, entry: AuditEntry) -> bool:
        if int(entry.time) != self._second:
            self._second, self._lines = int(entry.time), 0
        self._lines += 1
        return self._lines <= _LINES_A_SECOND

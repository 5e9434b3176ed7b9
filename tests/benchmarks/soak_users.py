"""Users who ask through each proxy all the time, and which of their requests may be lost."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass

from hosts import ENTRY, Host

PATH = "/api/v1/soak"
# A request that a fault has caught is over by then.
_AFTER = 1.0


@dataclass(frozen=True)
class Lost:
    """A request that was not answered 200."""

    proxy: int
    begin: float
    end: float
    reason: str


@dataclass
class Cut:
    """A time in which users of a proxy have no path."""

    proxy: int
    begin: float
    end: float = float("inf")

    def excuses(self, lost: Lost) -> bool:
        return self.proxy == lost.proxy and lost.begin <= self.end + _AFTER and lost.end >= self.begin


class Users(threading.Thread):
    """Who ask one proxy all the time, each time by a connection of their own or one that they keep.

    :ivar sent: how many requests. :ivar lost: those that were not answered well.
    """

    def __init__(self, host: Host, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self._host, self._keep = host, keep
        self.sent = 0
        self.lost: list[Lost] = []
        self.stopping = False

    def run(self) -> None:
        connection = None
        while not self.stopping:
            begin = time.monotonic()
            connection = connection or http.client.HTTPConnection(self._host.address, ENTRY, timeout=60)
            reason = ""
            try:
                connection.request("GET", PATH)
                answer = connection.getresponse()
                answer.read()
                reason = "" if answer.status == 200 else f"status {answer.status}"
            except (OSError, http.client.HTTPException) as error:
                reason = type(error).__name__
            self.sent += 1
            if reason:
                self.lost.append(Lost(self._host.number, begin, time.monotonic(), reason))
            if reason or not self._keep:
                connection.close()
                connection = None
            time.sleep(0.02)

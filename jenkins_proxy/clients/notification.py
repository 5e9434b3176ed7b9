"""Telling a URL what became of a command. It never fails the command, takes a bounded time, and shows no secret.

Such a URL often is a secret: whoever has it may write to the channel behind it. Messages show its host only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jenkins_proxy.errors import UsageError, root_cause
from jenkins_proxy.retry import Backoff, Deadline

if TYPE_CHECKING:
    import requests

_AGAIN = (408, 425, 429)
# "Not implemented": it will not be a moment later either.
_NEVER = 501


@dataclass(frozen=True)
class Timing:
    """Limits of one notification.

    :ivar total: seconds for all attempts and the pauses between them.
    :ivar attempt: seconds for each to connect, and again to answer.
    :ivar first_pause: seconds after the first attempt; each pause is twice as long as the one before.
    """

    total: float = 20.0
    attempt: float = 5.0
    first_pause: float = 0.5
    longest_pause: float = 8.0


class Notifier:
    """A URL that wants to know.

    :param url: ``http://`` or ``https://``; a certificate is always verified.
    :raises UsageError: for anything else, without the value.
    """

    def __init__(self, url: str, timing: Timing | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise UsageError(
                "JENKINS_PROXY_NOTIFY is no http:// or https:// address", "its value is not shown: it may be a secret"
            )
        self._url, self._timing, self._sleep = url, timing or Timing(), sleep
        self._secrets = sorted(
            {part for part in (parts.path, parts.query, parts.username, parts.password) if part and len(part) > 1},
            key=len,
            reverse=True,
        )
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        """What may be shown of the URL."""

    def tell(self, document: Mapping[str, Any]) -> str:
        """POST a document as JSON, again and again until it is taken or the time is over.

        :return: why it did not arrive; empty when it did.
        """
        outcome: list[str] = []
        # A thread, as neither a look-up of a name nor an answer byte by byte heeds a time limit.
        worker = threading.Thread(target=lambda: outcome.append(self._attempts(document)), daemon=True)
        worker.start()
        worker.join(self._timing.total)
        return outcome[0] if outcome else f"no answer within {self._timing.total:g} s"

    def _attempts(self, document: Mapping[str, Any]) -> str:
        deadline = Deadline(self._timing.total)
        backoff = Backoff(self._timing.first_pause, self._timing.longest_pause)
        while True:
            reason, again = self._attempt(document)
            pause = backoff.next_pause()
            if not again or pause >= deadline.remaining:
                return reason
            self._sleep(pause)

    def _attempt(self, document: Mapping[str, Any]) -> tuple[str, bool]:
        """Why an attempt failed, empty when it did not, and whether another one may do better."""
        import requests

        try:
            # Not to where it is redirected: a report is for the address that was given.
            with requests.post(
                self._url, json=document, timeout=self._timing.attempt, allow_redirects=False, stream=True
            ) as answer:
                return self._judged(answer)
        except requests.RequestException as error:
            reason = root_cause(error)
            for secret in self._secrets:
                reason = reason.replace(secret, "…")
            return reason, True

    def _judged(self, answer: requests.Response) -> tuple[str, bool]:
        status = answer.status_code
        return (
            ("", False)
            if status < 300
            else (f"it answered {status}", status in _AGAIN or (status >= 500 and status != _NEVER))
        )

"""Consul's HTTP API without input and output: how each request is built and its answer read.

A :class:`Call` is one request with the way to read its answer; ``calls.py`` has them all. The drivers ``client.py`` and
``async_client.py`` carry a call there and its :class:`Reply` back.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from jenkins_proxy.errors import RegistryError, root_cause

Result = TypeVar("Result")

TIMEOUT = 10.0
"""Seconds for an answer to a call that does not block."""

MAX_ANSWER = 64 * 2**20
"""Bytes of an answer: fifty thousand checks have half of it. What goes on after them is none of Consul's."""

TRANSFER = 60.0
"""Seconds for an answer to arrive once it has begun."""

IS_CONSUL = "is that address Consul's HTTP API?"
_INDEX = "X-Consul-Index"
_EARLY = 1.0
_PAUSES = (0.1, 2.0)
_INDEX_DIGITS = 20


class RegistryRefused(RegistryError):
    """The registry answered, but not with what was asked for.

    :ivar status: the HTTP status.
    """

    def __init__(self, message: str, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class EndlessAnswer(RegistryRefused):
    """The answer has more bytes, or takes more time, than its call allows."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    index: int = 0

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Call(Generic[Result]):
    """One request and the way to read its answer.

    :ivar path: quoted, from ``/v1`` on.
    :ivar read: makes the result of a good answer.
    :ivar absent: what a 404 gives, as a function of the answer; None where a 404 is an error.
    :ivar absent_at: the statuses that count as such a 404.
    :ivar wait: seconds that the registry may take before it answers.
    :ivar index: what it is to be past when it answers earlier; 0 for a call that does not block.
    :ivar anew: the same question without an index, for an answer whose own went back.
    :ivar max_bytes: of the answer.
    """

    method: str
    path: str
    read: Callable[[Reply], Result]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    absent: Callable[[Reply], Result] | None = None
    absent_at: tuple[int, ...] = (404,)
    wait: float = 0.0
    index: int = 0
    anew: Callable[[], Call[Result]] | None = None
    max_bytes: int = MAX_ANSWER

    @functools.cached_property
    def target(self) -> str:
        """Path and query."""
        return self.path + ("?" + urlencode(self.query) if self.query else "")

    @property
    def timeout(self) -> float:
        """Seconds after which no answer is to be expected: Consul adds up to a sixteenth to a wait, as jitter."""
        return self.wait * 17 / 16 + TIMEOUT

    def again(self, reply: Reply) -> Call[Result] | None:
        """What to ask at once in place of an answer that is older than the one before it, or of a registry that lost
        its data; None for any other."""
        return self.anew() if self.anew and 0 < reply.index < self.index else None

    def result(self, url: str, reply: Reply) -> Result:
        """Read the answer.

        :param url: the registry's address, for the message.
        :raises RegistryRefused: for an error status, or an answer that is not Consul's.
        """
        absent = self.absent if reply.status in self.absent_at else None
        if reply.status != 200 and not absent:
            raise _refusal(url, self, reply)
        try:
            return (absent or self.read)(reply)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryRefused(
                f"{url} does not answer {self.path} as Consul does: {error!r}",
                IS_CONSUL,
                reply.status,
            ) from error


def headers(token: str) -> dict[str, str]:
    """The headers of every request; the token is nowhere but here."""
    return {"X-Consul-Token": token} if token else {}


def reply_index(header: Mapping[str, str]) -> int:
    """The answer's index; 0 when there is none."""
    return parse_index(header.get(_INDEX, ""))


def parse_index(text: str) -> int:
    """The number in the answer's field ``X-Consul-Index``; 0 when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _INDEX_DIGITS else 0


class Pace:
    """Keeps a loop of blocking calls from spinning where the answers come at once and bring nothing new.

    Consul itself does not answer so, but what stands between may: a cache, or a load balancer over several registries.
    """

    def __init__(self) -> None:
        self._idle: dict[str, int] = {}

    def pause(self, call: Call[Any], index: int, seconds: float) -> float:
        """Seconds to wait before an answer is given on; 0 for one that is news, or took its time.

        The first early one is free: an index that goes back is a registry that was started again.

        :param index: of the answer, that came after so many ``seconds``.
        """
        if not call.index:
            return 0.0
        if index > call.index or seconds >= min(_EARLY, call.wait / 2):
            self._idle.pop(call.path, None)
            return 0.0
        idle = self._idle[call.path] = self._idle.get(call.path, -1) + 1
        shortest, longest = _PAUSES
        return min(shortest * 2 ** min(idle - 1, 10), longest) if idle else 0.0


class Body:
    """The bytes of an answer as they arrive, bounded in size and time.

    :param url: the registry's address, for the message.
    """

    def __init__(self, url: str, call: Call[Any]) -> None:
        self._url, self._call = url, call
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """:raises EndlessAnswer: when that is more than the call allows."""
        self._size += len(chunk)
        if self._size > self._call.max_bytes:
            self._chunks.clear()
            raise endless(self._url, self._call, f"is longer than {self._call.max_bytes >> 20} MiB")
        self._chunks.append(chunk)

    def bytes(self) -> bytes:
        return b"".join(self._chunks)


def endless(url: str, call: Call[Any], what: str) -> EndlessAnswer:
    """The error for an answer that does not end."""
    return EndlessAnswer(f"{url} does not answer {call.path} as Consul does: the answer {what}", IS_CONSUL)


def next_index(answered: int) -> int:
    """The index to ask with next. One that is 0 becomes 1: with 0 a query never blocks, and a watch would spin
    (Consul's own rule: "Blocking Queries", implementation details)."""
    return max(answered, 1)


# In the words of the operating system, of http.client and of aiohttp.
_CLOSED = ("connection reset", "without response", "disconnected")


def unreachable(url: str, error: BaseException) -> RegistryError:
    """The error for a registry that did not answer; ``error`` is what the HTTP library raised."""
    words = root_cause(error)
    # TLS's word for what the other side says: it does not take what we show.
    if "alert" in words.lower() and url.startswith("https:"):
        return RegistryError(
            f"the registry at {url} refuses our certificate: {words}",
            "set CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY to files of an authority that it knows",
        )
    if "certificate" in words.lower():
        return RegistryError(f"no trust in the registry at {url}: {words}", "set CONSUL_CACERT to its authority's file")
    if any(word in words.lower() for word in _CLOSED):
        return RegistryError(
            f"no registry answers at {url}: {words}",
            "Consul closes what goes over limits.http_max_conns_per_client (200) from one address: "
            "raise it there, if that is a Consul",
        )
    return RegistryError(
        f"no registry answers at {url}: {words}",
        "start Consul or `jenkins-proxy serve` there, or set CONSUL_HTTP_ADDR to where it is",
    )


def _refusal(url: str, call: Call[Any], reply: Reply) -> RegistryRefused:
    text = " ".join(reply.body.decode("utf-8", "replace").split())[:300] or f"HTTP {reply.status}"
    hint = ""
    if reply.status in (401, 403):
        hint = "give a token that may do this in CONSUL_HTTP_TOKEN"
    elif reply.status == 429 or "too many concurrent connections" in text:
        hint = "raise limits.http_max_conns_per_client in Consul's configuration (200 by default)"
    elif "No cluster leader" in text:
        hint = "the Consul servers have elected none yet, or have lost their majority"
    elif 300 <= reply.status < 400:
        hint = "is that address Consul's HTTP API? redirects are not followed, so that no token goes elsewhere"
    return RegistryRefused(f"the registry at {url} refused {call.method} {call.path}: {text}", hint, reply.status)

"""A hold: what a deploy puts into the registry so that its new instances meet no user before they are proven.

Data, its JSON, and its changes. Pure.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import JenkinsProxyError, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.route_options.table import check_route

MAX_SECONDS = 7 * 86400.0
"""How long a hold may last."""

_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{8}")
_MAX_TEXT = 500
_LATEST = 1e11  # the year 5138


class Phase(StrEnum):
    """How far the deploy is."""

    VERIFY = "verify"
    """Users meet what served before; the new instances are candidates."""
    PROMOTED = "promoted"
    """Users meet the new instances; those of before drain."""


@dataclass(frozen=True)
class Holder:
    """Who holds.

    :ivar name: ``user@host:pid`` or a build's tag.
    :ivar build: the build's URL; empty outside Jenkins.
    :ivar kept: whether the hold outlives its deploy on purpose (``deploy --hold``).
    """

    name: str
    build: str = ""
    kept: bool = False

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.name} ({self.build})" if self.build else self.name


@dataclass(frozen=True)
class Hold:
    """The hold of one service.

    :ivar id: 8 hexadecimal digits that name it in logs, events and to the candidates.
    :ivar key_sha256: of the key that leads a request to a candidate, in hexadecimal. The key itself is only in the
        deploy.
    :ivar route: as it shall be once promoted.
    :ivar before: the addresses that were proven when the hold began.
    :ivar serving: the addresses that users may meet now.
    :ivar since: when it began, in seconds since 1970; ``until`` when its time ends.
    :ivar version: counts up with each change; the pair's ModifyIndex.
    """

    id: str
    key_sha256: str
    route: Route
    holder: Holder
    since: float
    until: float
    before: tuple[Address, ...] = ()
    serving: tuple[Address, ...] = ()
    phase: Phase = Phase.VERIFY
    version: int = field(default=0, compare=False)

    @property
    def service(self) -> str:
        return self.route.service

    @property
    def promoted(self) -> bool:
        return self.phase is Phase.PROMOTED

    def expired(self, now: float) -> bool:
        """Whether its time is over. It stays in force, and anybody may replace it."""
        return now >= self.until

    def is_candidate(self, address: Address) -> bool:
        """Whether an instance came after the hold began: its key leads to these and to no other."""
        return address not in self.before

    def promote(self, addresses: Iterable[Address]) -> Hold:
        """Users meet exactly these from now on."""
        return dataclasses.replace(self, serving=tuple(sorted(set(addresses))), phase=Phase.PROMOTED)

    def demote(self) -> Hold:
        """Users meet those of before again."""
        return dataclasses.replace(self, serving=self.before, phase=Phase.VERIFY)

    def conflict(self) -> str:
        """Why nobody else may hold the service, for people."""
        return f"{self.service} is held by {self.holder.text} since {_clock(self.since)}, until {_clock(self.until)}"

    def as_dict(self) -> dict[str, Any]:
        """The value in the store."""
        return {
            "id": self.id,
            "key_sha256": self.key_sha256,
            "route": self.route.as_dict(),
            "before": [str(address) for address in self.before],
            "serving": [str(address) for address in self.serving],
            "phase": str(self.phase),
            "since": self.since,
            "until": self.until,
            "holder": dataclasses.asdict(self.holder),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], version: int) -> Hold:
        """The inverse of :meth:`as_dict`.

        :raises UsageError: for a value that is not allowed. KeyError, TypeError, ValueError: for what is no hold.
        """
        route = Route.from_dict(data["route"])
        check_route(route)
        return cls(
            check_id(data["id"]),
            check_hash(data["key_sha256"]),
            route,
            check_holder(data["holder"]),
            _moment(data["since"]),
            _moment(data["until"]),
            parse_addresses(data["before"]),
            parse_addresses(data["serving"]),
            Phase(data["phase"]),
            version,
        )


@dataclass(frozen=True)
class Holds:
    """All holds.

    :ivar index: of the store when they were read.
    :ivar store_id: distinguishes this store from one that lost its data; empty in one that has none yet.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)
    index: int = 0
    store_id: str = ""


def parse_holds(pairs: Iterable[KvPair], prefix: str, store_id_key: str, index: int) -> Holds:
    """Holds from their pairs, without what is none: a value that nobody can read keeps nobody out."""
    holds: dict[str, Hold] = {}
    store_id = ""
    for pair in pairs:
        service = pair.key[len(prefix) :]
        if service == store_id_key:
            store_id = pair.value.decode(errors="replace")
            continue
        hold = parse_hold(service, pair.value, pair.modify_index)
        if hold:
            holds[service] = hold
    return Holds(holds, index, store_id)


def parse_hold(service: str, value: bytes, version: int) -> Hold | None:
    """A hold from its value; None when it is no hold of this service."""
    try:
        hold = Hold.from_dict(validation.parse_json(value), version)
    except (JenkinsProxyError, KeyError, ValueError, TypeError, AttributeError):
        return None
    return hold if hold.service == service else None


def parse_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """:raises UsageError: for a text that is no address."""
    return tuple(validation.parse_address(text, "addresses") for text in texts)


def check_hash(text: Any) -> str:
    """:raises UsageError: for what is no SHA-256 in hexadecimal. The text is not repeated: it may be the key itself."""
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise UsageError("key_sha256 is not allowed: it must be a SHA-256 of 64 hexadecimal digits")
    return text


def check_id(text: Any) -> str:
    """:raises UsageError: for what is no ID of a hold."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise UsageError(f"id {validation.shown(text)} is not allowed: it must be the 8 digits of a hold")
    return text


def check_holder(data: Any) -> Holder:
    """:raises UsageError: for what is no holder."""
    known = {field.name for field in dataclasses.fields(Holder)}
    if not isinstance(data, dict) or not data.keys() <= known or "name" not in data:
        raise UsageError("holder is not allowed", 'send {"name": "user@host:pid", "build": "", "kept": false}')
    holder = Holder(**data)
    for text in (holder.name, holder.build):
        if not isinstance(text, str) or len(text) > _MAX_TEXT or not text.isprintable():
            raise UsageError(f"holder: {validation.shown(text)} is not allowed: printable text is")
    if not holder.name or not isinstance(holder.kept, bool):
        raise UsageError("holder needs a name, and kept is true or false")
    return holder


def proven(instances: Collection[Address], hold: Hold | None) -> tuple[Address, ...]:
    """The addresses among the instances that users may meet when another hold begins."""
    if hold is None:
        return tuple(sorted(set(instances)))
    # What an earlier hold kept out is not proven by its end.
    return hold.serving


def _moment(value: Any) -> float:
    """Seconds since 1970. :raises UsageError: for what is no moment of this age."""
    validation.check_seconds(value, "the moment", _LATEST)
    return float(value)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(seconds))

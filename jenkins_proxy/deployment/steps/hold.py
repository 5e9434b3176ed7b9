"""The hold of a service: while it is there, what a deploy starts is a candidate that no user meets.

It is one document in the registry, which the proxy daemon writes and every proxy follows. It outlives the deploy that
had it put there: the next one reads it, and ends it.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.errors import JenkinsProxyError, RegistryError, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.model import Address, Route

PREFIX = "jenkins-proxy/holds/"
KEY_HEADER = "X-Jenkins-Proxy-Candidate"
PROMOTED = "promoted"
_KEY_BYTES = 16
_LATEST = 1e11  # the year 5138


@dataclass(frozen=True)
class Hold:
    """A hold as the registry has it.

    :ivar id: names it in logs and events, and to the candidates.
    :ivar serving: the addresses that users may meet now, as text.
    :ivar promoted: whether its candidates were let in.
    :ivar since: when it began, and :ivar until: when its time ends, in seconds since 1970.
    :ivar holder: who holds.
    :ivar build: the build's URL; may be empty.
    :ivar kept: whether ``deploy --hold`` has left it on purpose.
    """

    id: str
    route: Route
    serving: frozenset[str] = frozenset()
    promoted: bool = False
    since: float = 0.0
    until: float = 0.0
    holder: str = ""
    build: str = ""
    kept: bool = False

    @property
    def expired(self) -> bool:
        """Whether its time is over: it stays in force, and anybody may end it."""
        return time.time() >= self.until

    def describe(self) -> str:
        """``books-ms is held by jenkins@agent-1:4711 (http://…/17/) since 14:02, until 14:32``."""
        build = f" ({self.build})" if self.build else ""
        return (
            f"{self.route.service} is held by {self.holder}{build} since {clock(self.since)}, until {clock(self.until)}"
        )


def clock(seconds: float) -> str:
    """The time of day here: ``14:02``."""
    return time.strftime("%H:%M", time.localtime(seconds))


def read(registry: Consul, service: str) -> Hold | None:
    """The hold of a service, whoever put it there; None when there is none."""
    pair = registry.kv_get(PREFIX + service)
    return _parse(pair.value) if pair else None


def _parse(value: bytes) -> Hold | None:
    """A hold; None for what a later version, or a person, may have written there: the daemon ignores it as well."""
    try:
        data = validation.parse_json(value)
        holder = data["holder"]
        return Hold(
            id=str(data["id"]),
            route=Route.from_dict(data["route"]),
            serving=frozenset(map(str, data["serving"])),
            promoted=data["phase"] == PROMOTED,
            since=_moment(data["since"]),
            until=_moment(data["until"]),
            holder=str(holder.get("name", "")),
            build=str(holder.get("build", "")),
            kept=holder.get("kept") is True,
        )
    except (JenkinsProxyError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _moment(value: Any) -> float:
    """Seconds since 1970. :raises UsageError: for what is no moment that a clock can show."""
    validation.check_seconds(value, "the moment", _LATEST)
    return float(value)


def refuse_kept(hold: Hold) -> None:
    """Refuse to deploy over what somebody holds on purpose.

    :raises RegistryError: always; says who holds, and how to end it.
    """
    service = hold.route.service
    raise RegistryError(
        f"{hold.describe()}: jenkins-proxy promote {service} or abort {service} ends it",
        "promote lets its candidates in, abort takes them away",
    )


@dataclass(frozen=True)
class Key:
    """The secret that leads a request to a candidate. Only its hash leaves the deploy."""

    text: str

    def __repr__(self) -> str:
        return "Key(<hidden>)"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def of(cls, context: Context) -> Key:
        """The one that is given by the environment, else a new one."""
        return cls(context.settings.candidate_key) if context.settings.candidate_key else cls.new()

    @classmethod
    def new(cls) -> Key:
        """One that nobody else has."""
        return cls(secrets.token_hex(_KEY_BYTES))


def write_key(key: Key, path: str) -> None:
    """Leave the key to those who test the candidates; no file where they have it already.

    :raises UsageError: when the file cannot be written.
    """
    if not path:
        return
    try:
        atomic_write(path, key.text + "\n", mode=0o600)
    except OSError as error:
        raise UsageError(f"--key-file {path}: cannot be written: {error.strerror}") from error


def put(
    context: Context,
    route: Route,
    key: Key,
    *,
    seconds: float,
    kept: bool = False,
    replace: str = "",
    proven: Sequence[Address] | None = None,
) -> Hold:
    """Keep out whatever joins from now on.

    :param route: as it shall be once the candidates are promoted.
    :param seconds: how long the hold may last.
    :param kept: whether it is to outlive this process.
    :param replace: the ID of a hold that this one takes the place of.
    :param proven: the instances that are no candidates; those that serve now when it is None.
    :raises ProxyError: when somebody else holds the service, or a proxy does not follow.
    """
    context.confirm()
    answer = context.proxy.hold(
        route,
        key_sha256=key.sha256,
        holder=_holder(os.environ, kept=kept),
        timeout=seconds,
        replace=replace,
        before=proven,
        proxies=context.proxies_seconds,
    )
    context.report_laggards(answer)
    return Hold(
        id=answer["id"],
        route=route,
        serving=frozenset(answer["serving"]),
        since=float(answer["since"]),
        until=float(answer["until"]),
        kept=kept,
    )


def _holder(environ: Mapping[str, str], *, kept: bool) -> dict[str, Any]:
    """Who holds, for people: the build where there is one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"  # an agent's container may run under a user ID that has no name
    name = environ.get("BUILD_TAG") or f"{user}@{socket.gethostname()}:{os.getpid()}"
    return {"name": name, "build": environ.get("BUILD_URL", ""), "kept": kept}


def end(context: Context, service: str, hold_id: str) -> dict[str, Any]:
    """End a hold: from now on the service is as any other. One that is gone already is fine.

    :return: the daemon's answer.
    """
    context.confirm()
    answer: dict[str, Any] = context.proxy.end_hold(service, hold_id, proxies=context.proxies_seconds)
    context.report_laggards(answer)
    return answer


def promote(context: Context, hold: Hold, addresses: list[Address], keep: list[Address]) -> None:
    """Let users in: these get all requests and the others none, in one moment in each proxy.

    :param addresses: the verified candidates.
    :param keep: those of before that go on serving beside them.
    :raises ProxyError: when the daemon refuses.
    """
    context.confirm()
    seconds = min(context.timing.proxies_promoted, max(1.0, context.deadline.remaining))
    answer = context.proxy.promote(hold.route.service, hold.id, addresses, keep=keep, timeout=seconds)
    number = len(answer.get("proxies") or {})
    proxies = f", in {number} proxies" if number > 1 else ""
    beside = f" beside {len(keep)} of before" if keep else ""
    context.console.step(f"promote: {len(addresses)} new instance(s) serve{beside}{proxies}")
    context.report_laggards(answer, seconds)


def demote(context: Context, hold: Hold) -> None:
    """Lead users back to those of before, while these still run."""
    context.confirm()
    context.report_laggards(context.proxy.demote(hold.route.service, hold.id, proxies=context.proxies_seconds))

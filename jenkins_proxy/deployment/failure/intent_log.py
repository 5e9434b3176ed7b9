"""What a deploy is about to do, written into the registry: so that the next one knows when it was killed on the way.

It holds names and IDs only. What the containers were made of would bring back more, but has secrets in it.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.model import Route

PREFIX = "jenkins-proxy/deploys/"
PROVING, RETIRING = "proving", "retiring"


@dataclass(frozen=True)
class DeployRecord:
    """A deploy that has begun.

    :ivar phase: PROVING until the new containers have proven themselves, RETIRING from then on.
    :ivar project: the compose project or stack that is deployed into.
    :ivar target: the compose service.
    :ivar old: the IDs of the target's containers that were there before.
    :ivar count: how many instances are wanted.
    :ivar route: the one that served before; None where there was none, or the proxy was left alone.
    :ivar since: when it began.
    """

    strategy: str
    phase: str
    project: str
    target: str
    old: tuple[str, ...] = ()
    count: int = 0
    route: Route | None = None
    since: str = ""


class IntentLog:
    """The entry of one service. Only who holds the service's lock writes it."""

    def __init__(self, registry: Consul, service: str) -> None:
        self.service = service
        self._registry = registry
        self._key = PREFIX + service

    def read(self) -> DeployRecord | None:
        """What a deploy before us has left behind; None when it ended in order."""
        found = self._registry.kv_get(self._key)
        return _parse(found.value) if found else None

    def begin(self, strategy: Strategy) -> None:
        """Write what is about to be replaced."""
        self._write(
            DeployRecord(
                strategy=strategy.name,
                phase=PROVING,
                project=strategy.orchestrator.project,
                target=strategy.target,
                old=tuple(sorted(strategy.before.known)),
                count=strategy.wanted,
                route=strategy.before.route,
                since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            )
        )

    def proven(self) -> None:
        """The new containers serve: from here on the way leads forward only."""
        entry = self.read()
        if entry:
            self._write(dataclasses.replace(entry, phase=RETIRING))

    def end(self) -> None:
        """The deploy has ended in order, by success or by a roll-back."""
        self._registry.kv_delete(self._key)

    def _write(self, entry: DeployRecord) -> None:
        data = {**dataclasses.asdict(entry), "route": entry.route.as_dict() if entry.route else None}
        self._registry.kv_put(self._key, json.dumps(data).encode())


def _parse(value: bytes) -> DeployRecord | None:
    """An entry; None for what a later version, or a person, may have written there."""
    try:
        data: dict[str, Any] = json.loads(value)
        route = Route.from_dict(data["route"]) if data["route"] else None
        return DeployRecord(**{**data, "old": tuple(data["old"]), "route": route})
    except (ValueError, TypeError, KeyError):
        return None

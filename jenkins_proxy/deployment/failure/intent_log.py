"""What a deploy is about to do, written into the registry: so that the next one knows when it was killed on the way.

It holds names and IDs only. What the containers were made of would bring back more, but has secrets in it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.strategies.record import HELD, RETIRING, DeployRecord
from jenkins_proxy.model import Route

PREFIX = "jenkins-proxy/deploys/"


class IntentLog:
    """The record of one service. Only who holds the service's lock writes it."""

    def __init__(self, registry: Consul, service: str) -> None:
        self.service = service
        self._registry = registry
        self._key = PREFIX + service

    def read(self) -> DeployRecord | None:
        """The record that a deploy before this one has left behind; None when it ended in order."""
        pair = self._registry.kv_get(self._key)
        return _parse(pair.value) if pair else None

    def begin(self, record: DeployRecord) -> None:
        """Write what is about to be replaced, over what an earlier deploy may have left."""
        data = {**dataclasses.asdict(record), "route": record.route.as_dict() if record.route else None}
        self._registry.kv_put(self._key, json.dumps(data).encode())

    def held_by(self, hold: str) -> None:
        """The containers that will be started are candidates of this hold."""
        self._change(lambda record: dataclasses.replace(record, hold=hold))

    def kept(self) -> None:
        """The candidates are verified, and left to another command."""
        self._change(lambda record: dataclasses.replace(record, phase=HELD))

    def proven(self) -> None:
        """The new containers serve: from here on the way leads forward only."""
        self._change(lambda record: dataclasses.replace(record, phase=RETIRING))

    def end(self) -> None:
        """The deploy has ended in order, by success or by a revert."""
        self._registry.kv_delete(self._key)

    def _change(self, change: Callable[[DeployRecord], DeployRecord]) -> None:
        record = self.read()
        if record:
            self.begin(change(record))


def _parse(value: bytes) -> DeployRecord | None:
    """A record; None for what a later version, or a person, may have written there."""
    try:
        data: dict[str, Any] = json.loads(value)
        route = Route.from_dict(data["route"]) if data["route"] else None
        lists = {name: tuple(data.get(name, ())) for name in ("after", "others", "absent")}
        belongings = None if data.get("belongings") is None else tuple(data["belongings"])
        values = {**data, "old": tuple(data["old"]), **lists, "belongings": belongings, "route": route}
        return DeployRecord(**values)
    except (ValueError, TypeError, KeyError):
        return None

"""What a deploy is about to do, written into the registry: so that the next one knows when it was killed on the way.

It holds names and IDs only. What the containers were made of would bring back more, but has secrets in it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.strategies.record import HELD, RETIRING, DeployRecord
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options.table import check_route

PREFIX = "jenkins-proxy/deploys/"
_OPTIONAL_TEXTS = ("since", "orchestrator", "elsewhere", "hold")
_MOST = 10**6


class IntentLog:
    """The record of one service. Only who holds the service's lock writes it.

    :ivar damaged: the key whose value was no record when it was read last; empty when it was one, or there was none.
    """

    def __init__(self, registry: Consul, service: str) -> None:
        self.service = service
        self._registry = registry
        self._key = PREFIX + service
        self.damaged = ""

    def read(self) -> DeployRecord | None:
        """The record that a deploy before this one has left behind; None when it ended in order."""
        pair = self._registry.kv_get(self._key)
        record = _parse(pair.value) if pair else None
        self.damaged = self._key if pair and record is None else ""
        return record

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
        data: dict[str, Any] = validation.parse_json(value)
        route = Route.from_dict(data["route"]) if data["route"] else None
        if route:
            check_route(route)
        lists = {name: _texts(data.get(name, [])) for name in ("old", "after", "others", "absent")}
        belongings = None if data.get("belongings") is None else _texts(data["belongings"])
        record = DeployRecord(**{**data, **lists, "belongings": belongings, "route": route})
        texts = (getattr(record, name) for name in ("strategy", "phase", "project", "target", *_OPTIONAL_TEXTS))
        _texts(list(texts))
        if type(record.keep_old) is not bool or type(record.count) is not int or not 0 <= record.count < _MOST:
            return None
        return record
    except (JenkinsProxyError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _texts(value: Any) -> tuple[str, ...]:
    """:raises ValueError: for what is no list of texts."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("a list of texts is expected")
    return tuple(value)

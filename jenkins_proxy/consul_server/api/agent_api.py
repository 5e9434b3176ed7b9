"""``/v1/agent``: https://developer.hashicorp.com/consul/api-docs/agent."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import hdrs, web

from jenkins_proxy.consul_server import go_json, structures
from jenkins_proxy.consul_server.agent import Agent
from jenkins_proxy.consul_server.api.http import answer, done, name, wait_until
from jenkins_proxy.consul_server.catalog import service_topic
from jenkins_proxy.consul_server.definitions import STATUSES
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.state.state_store import Row, Store
from jenkins_proxy.model import CRITICAL, PASSING, WARNING

_MAINTENANCE = "maintenance"
_NO_DEFINITION = {
    "Interval": "0s",
    "Timeout": "0s",
    "DeregisterCriticalServiceAfter": "0s",
    "HTTP": "",
    "Header": None,
    "Method": "",
    "Body": "",
    "TLSSkipVerify": False,
    "TCP": "",
}
_TTL_CALLS = {"pass": "passing", "warn": "warning", "fail": "critical"}


# The HTTP statuses of a service's health; of any other word 503.
_HEALTH_STATUS = {PASSING: 200, WARNING: 429}


class AgentApi:
    """The calls."""

    def __init__(self, store: Store, agent: Agent) -> None:
        self._store = store
        self._agent = agent

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/agent/services", self._services, allow_head=False),
            web.get("/v1/agent/checks", self._checks, allow_head=False),
            web.get("/v1/agent/health/service/id/{name:.*}", self._health_of_id, allow_head=False),
            web.get("/v1/agent/health/service/name/{name:.*}", self._health_of_name, allow_head=False),
            web.put("/v1/agent/service/register", self._register),
            web.put("/v1/agent/service/deregister/{name:.*}", self._deregister),
            web.put("/v1/agent/service/maintenance/{name:.*}", self._maintenance),
            web.put("/v1/agent/maintenance", self._node_maintenance),
            web.put("/v1/agent/check/register", self._register_check),
            web.put("/v1/agent/check/deregister/{name:.*}", self._deregister_check),
            web.put("/v1/agent/check/{verb:pass|warn|fail}/{name:.*}", self._report),
            web.put("/v1/agent/check/update/{name:.*}", self._update),
            # The other calls on services are none on a service with such an ID.
            web.get(
                "/v1/agent/service/{name:(?!register$|deregister/|maintenance/).*}", self._service, allow_head=False
            ),
        ]

    async def _services(self, request: web.Request) -> web.Response:
        return answer(request, {row["ID"]: _agent_service(row) for row in self._agent.services()})

    async def _checks(self, request: web.Request) -> web.Response:
        # An agent knows its checks before the catalog numbers them.
        unnumbered = {"CreateIndex": 0, "ModifyIndex": 0}
        return answer(request, {row["CheckID"]: {**row, **unnumbered} for row in self._agent.checks()})

    async def _service(self, request: web.Request) -> web.Response:
        """A service by its ID; with ``?hash=`` of what the caller has, once it is another or ``?wait=`` is over."""
        service_id = request.match_info["name"]
        known, until = request.query.get("hash", ""), wait_until(request)
        while True:
            row = self._agent.service(service_id)
            if row is None:
                raise ConsulError(404, f"unknown service ID: {service_id}")
            content = _agent_service(row)
            digest = _digest(content)
            if known != digest or time.monotonic() >= until:
                break
            await self._store.changed(service_topic(row["Service"]), until - time.monotonic())
        response = answer(request, {**content, "ContentHash": digest})
        response.headers["X-Consul-Contenthash"] = digest
        return response

    async def _health_of_id(self, request: web.Request) -> web.Response:
        service_id = request.match_info["name"]
        if not service_id:
            raise ConsulError(500, "Bad request: Missing serviceID")
        row = self._agent.service(service_id)
        if row:
            health = self._health(row)
            return _health_answer(request, health["AggregatedStatus"], health)
        if _as_text(request):
            return answer(request, f"ServiceId {service_id} not found", 404)
        return answer(request, {"AggregatedStatus": CRITICAL, "Service": None, "Checks": None}, 404)

    async def _health_of_name(self, request: web.Request) -> web.Response:
        wanted = request.match_info["name"]
        if not wanted:
            raise ConsulError(500, "Bad request: Missing service Name")
        found = [self._health(row) for row in self._agent.services() if row["Service"] == wanted]
        if found:
            return _health_answer(request, _aggregate(health["AggregatedStatus"] for health in found), found)
        if _as_text(request):
            return _plain(f"ServiceName {wanted} Not Found", 404)
        return answer(request, [], 404)

    def _health(self, row: Row) -> dict[str, Any]:
        checks = [check for check in self._agent.checks() if check["ServiceID"] in ("", row["ID"])]
        return {
            "AggregatedStatus": _aggregate(map(_status, checks)),
            "Service": _agent_service(row),
            "Checks": [_agent_check(check) for check in checks],
        }

    async def _register(self, request: web.Request) -> web.Response:
        replace = request.query.get("replace-existing-checks", "false") not in ("false", "0")
        self._agent.register_service(go_json.body(await request.read(), structures.SERVICE), replace)
        return done()

    async def _deregister(self, request: web.Request) -> web.Response:
        self._agent.deregister_service(name(request, "service ID"))
        return done()

    async def _maintenance(self, request: web.Request) -> web.Response:
        service_id = name(request, "service ID")
        self._agent.service_maintenance(service_id, _enable(request), request.query.get("reason", ""))
        return done()

    async def _node_maintenance(self, request: web.Request) -> web.Response:
        self._agent.node_maintenance(_enable(request), request.query.get("reason", ""))
        return done()

    async def _register_check(self, request: web.Request) -> web.Response:
        self._agent.register_check(go_json.body(await request.read(), structures.CHECK))
        return done()

    async def _deregister_check(self, request: web.Request) -> web.Response:
        self._agent.deregister_check(name(request, "check ID"))
        return done()

    async def _report(self, request: web.Request) -> web.Response:
        status = _TTL_CALLS[request.match_info["verb"]]
        self._agent.update_ttl(name(request, "check ID"), status, request.query.get("note", ""))
        return done()

    async def _update(self, request: web.Request) -> web.Response:
        update = go_json.body(await request.read(), {"Status": "string", "Output": "string"})
        if update["Status"] not in STATUSES:
            raise ConsulError(400, f"Invalid check status: '{update['Status']}'")
        self._agent.update_ttl(name(request, "check ID"), update["Status"], update["Output"])
        return done()


def _enable(request: web.Request) -> bool:
    text = request.query.get("enable")
    if text is None:
        raise ConsulError(400, "Missing value for enable")
    if text not in ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"):
        raise ConsulError(400, f'Invalid value for enable: "{text}"')
    return text in ("1", "t", "T", "true", "TRUE", "True")


def _status(check: Row) -> str:
    return _MAINTENANCE if check["Type"] == _MAINTENANCE else check["Status"]


def _aggregate(statuses: Iterable[str]) -> str:
    """The worst; maintenance is worse than critical."""
    order = (PASSING, WARNING, CRITICAL, _MAINTENANCE)
    return order[max((order.index(status) for status in statuses), default=0)]


def _as_text(request: web.Request) -> bool:
    return request.query.get("format") == "text"


def _health_answer(request: web.Request, status: str, data: Any) -> web.Response:
    code = _HEALTH_STATUS.get(status, 503)
    return _plain(status, code) if _as_text(request) else answer(request, data, code)


def _plain(text: str, code: int) -> web.Response:
    return web.Response(status=code, body=text.encode(), headers={hdrs.CONTENT_TYPE: "text/plain"})


def _agent_check(check: Row) -> dict[str, Any]:
    """A check as an agent's health tells it, without what it knows of its definition."""
    return {
        **check,
        "ServiceTags": check["ServiceTags"] if check["ServiceID"] else None,
        "Type": "",
        "Definition": _NO_DEFINITION,
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }


def _digest(content: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()


def _agent_service(row: Row) -> dict[str, Any]:
    fields = ("ID", "Service", "Tags", "Meta", "Port", "Address", "TaggedAddresses", "Weights", "EnableTagOverride")
    return {field: row[field] or {} if field == "Meta" else row[field] for field in fields if field in row}

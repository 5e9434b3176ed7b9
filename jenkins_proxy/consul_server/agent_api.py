"""``/v1/agent`` and ``/v1/status``: https://developer.hashicorp.com/consul/api-docs/agent."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jenkins_proxy.consul_server import go_json
from jenkins_proxy.consul_server.agent import STATUSES, Agent
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.http import answer, done, name
from jenkins_proxy.consul_server.records import DATACENTER
from jenkins_proxy.consul_server.state_store import Row

API_VERSION = "1.8.7"
"""The Consul whose API this is; clients look at it."""

_TTL_CALLS = {"pass": "passing", "warn": "warning", "fail": "critical"}


class AgentApi:
    """The calls.

    :param address: ``host:port`` of this registry, told as the leader's.
    """

    def __init__(self, agent: Agent, node: Row, address: str) -> None:
        self._agent = agent
        self._node = node
        self._address = address

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/status/leader", self._leader, allow_head=False),
            web.get("/v1/status/peers", self._peers, allow_head=False),
            web.get("/v1/agent/self", self._self, allow_head=False),
            web.get("/v1/agent/services", self._services, allow_head=False),
            web.get("/v1/agent/checks", self._checks, allow_head=False),
            web.put("/v1/agent/service/register", self._register),
            web.put("/v1/agent/service/deregister/{name:.*}", self._deregister),
            web.put("/v1/agent/service/maintenance/{name:.*}", self._maintenance),
            web.put("/v1/agent/maintenance", self._node_maintenance),
            web.put("/v1/agent/check/register", self._register_check),
            web.put("/v1/agent/check/deregister/{name:.*}", self._deregister_check),
            web.put("/v1/agent/check/{verb:pass|warn|fail}/{name:.*}", self._report),
            web.put("/v1/agent/check/update/{name:.*}", self._update),
        ]

    async def _leader(self, request: web.Request) -> web.Response:
        return answer(request, self._address)

    async def _peers(self, request: web.Request) -> web.Response:
        return answer(request, [self._address])

    async def _self(self, request: web.Request) -> web.Response:
        node = self._node
        host, _, port = self._address.rpartition(":")
        return answer(
            request,
            {
                "Config": {
                    "Datacenter": DATACENTER,
                    "NodeName": node["Node"],
                    "NodeID": node["ID"],
                    "Revision": "",
                    "Server": True,
                    "Version": API_VERSION,
                },
                "Member": {
                    "Name": node["Node"],
                    "Addr": host,
                    "Port": int(port),
                    "Tags": {"dc": DATACENTER},
                    "Status": 1,
                },
                "Meta": node["Meta"] or {},
            },
        )

    async def _services(self, request: web.Request) -> web.Response:
        return answer(request, {row["ID"]: _agent_service(row) for row in self._agent.services()})

    async def _checks(self, request: web.Request) -> web.Response:
        # An agent knows its checks before the catalog numbers them.
        unnumbered = {"CreateIndex": 0, "ModifyIndex": 0}
        return answer(request, {row["CheckID"]: {**row, **unnumbered} for row in self._agent.checks()})

    async def _register(self, request: web.Request) -> web.Response:
        replace = request.query.get("replace-existing-checks", "false") not in ("false", "0")
        self._agent.register_service(go_json.body(await request.read(), go_json.SERVICE), replace)
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
        self._agent.register_check(go_json.body(await request.read(), go_json.CHECK))
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


def _agent_service(row: Row) -> dict[str, Any]:
    fields = ("ID", "Service", "Tags", "Meta", "Port", "Address", "TaggedAddresses", "Weights", "EnableTagOverride")
    return {field: row[field] or {} if field == "Meta" else row[field] for field in fields if field in row}

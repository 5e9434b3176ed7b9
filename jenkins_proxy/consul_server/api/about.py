"""``/v1/status`` and what ``/v1/agent`` tells of the node itself: this registry is a server of its own."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from aiohttp import web

from jenkins_proxy.consul_server.agent import Agent
from jenkins_proxy.consul_server.api.http import answer
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.records import DATACENTER
from jenkins_proxy.consul_server.state.state_store import Row, Store

API_VERSION = "1.8.7"
"""The Consul whose API this is; clients look at it."""

_ALIVE = 1
_LOCAL_SEGMENTS = ("", "_all")


class AboutApi:
    """The calls.

    :param address: ``host:port`` of this registry, told as the leader's.
    """

    def __init__(self, store: Store, agent: Agent, node: Row, address: str) -> None:
        self._store = store
        self._agent = agent
        self._node = node
        self._address = address

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/status/leader", self._leader, allow_head=False),
            web.get("/v1/status/peers", self._peers, allow_head=False),
            web.get("/v1/agent/self", self._self, allow_head=False),
            web.get("/v1/agent/members", self._members, allow_head=False),
        ]

    async def _leader(self, request: web.Request) -> web.Response:
        return answer(request, self._address)

    async def _peers(self, request: web.Request) -> web.Response:
        return answer(request, [self._address])

    async def _self(self, request: web.Request) -> web.Response:
        node = self._node
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
                "Stats": self._stats(),
                "Member": self._member(wide=False),
                "Meta": node["Meta"] or {},
            },
        )

    async def _members(self, request: web.Request) -> web.Response:
        if request.query.get("segment", "") not in _LOCAL_SEGMENTS:
            raise ConsulError(500, "Network segments are not supported in this version of Consul")
        return answer(request, [self._member(wide=bool(request.query.get("wan")))])

    def _member(self, *, wide: bool) -> dict[str, Any]:
        """This node as Consul's gossip would know it.

        :param wide: as the servers of other data centers would.
        """
        host, _, port = self._address.rpartition(":")
        return {
            "Name": f"{self._node['Node']}.{DATACENTER}" if wide else self._node["Node"],
            "Addr": host.strip("[]"),
            "Port": int(port),
            "Tags": {
                "acls": "0",
                "build": f"{API_VERSION}:",
                "dc": DATACENTER,
                "id": self._node["ID"],
                "port": port,
                "raft_vsn": "3",
                "role": "consul",
                "segment": "",
                "vsn": "2",
                "vsn_max": "3",
                "vsn_min": "2",
            },
            "Status": _ALIVE,
            "ProtocolMin": 1,
            "ProtocolMax": 5,
            "ProtocolCur": 2,
            "DelegateMin": 2,
            "DelegateMax": 5,
            "DelegateCur": 4,
        }

    def _stats(self) -> dict[str, dict[str, str]]:
        """What ``consul info`` prints, as far as there is such a thing here."""
        kinds = [check["Type"] for check in self._agent.checks()]
        index, one = str(self._store.index), "1"
        return {
            "agent": {
                "check_monitors": "0",
                "check_ttls": str(kinds.count("ttl")),
                "checks": str(len(kinds)),
                "services": str(len(self._agent.services())),
            },
            "build": {"prerelease": "", "revision": "", "version": API_VERSION},
            "consul": {
                "acl": "disabled",
                "bootstrap": "false",
                "known_datacenters": one,
                "leader": "true",
                "leader_addr": self._address,
                "server": "true",
            },
            "raft": {"applied_index": index, "commit_index": index, "num_peers": "0", "state": "Leader"},
            "runtime": {
                "arch": platform.machine(),
                "cpu_count": str(os.cpu_count() or 1),
                "os": sys.platform,
                "version": f"python{platform.python_version()}",
            },
            "serf_lan": {"failed": "0", "left": "0", "members": one},
            "serf_wan": {"failed": "0", "left": "0", "members": one},
        }

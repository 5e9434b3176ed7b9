"""``/v1/catalog`` and ``/v1/health``: https://developer.hashicorp.com/consul/api-docs/catalog, …/health."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jenkins_proxy.consul_server import go_json, structures
from jenkins_proxy.consul_server.api.http import Query, answer, blocking, check_datacenter, name
from jenkins_proxy.consul_server.catalog import NODES, SERVICES, Catalog, checks_topic, node_topic, service_topic
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.records import DATACENTER, check_row, node_row, refuse_connect, service_row
from jenkins_proxy.consul_server.state.state_store import Row, Store
from jenkins_proxy.model import CRITICAL, PASSING


class CatalogApi:
    """The calls."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/catalog/datacenters", self._datacenters, allow_head=False),
            web.get("/v1/catalog/services", self._services, allow_head=False),
            web.get("/v1/catalog/service/{name:.*}", self._service, allow_head=False),
            web.get("/v1/catalog/nodes", self._nodes, allow_head=False),
            web.get("/v1/catalog/node/{name:.*}", self._node, allow_head=False),
            web.get("/v1/catalog/node-services/{name:.*}", self._node_services, allow_head=False),
            web.put("/v1/catalog/register", self._register),
            web.put("/v1/catalog/deregister", self._deregister),
            web.get("/v1/health/service/{name:.*}", self._health, allow_head=False),
            web.get("/v1/health/node/{name:.*}", self._health_node, allow_head=False),
            web.get("/v1/health/checks/{name:.*}", self._health_checks, allow_head=False),
            web.get("/v1/health/state/{name:.*}", self._health_state, allow_head=False),
        ]

    async def _datacenters(self, request: web.Request) -> web.Response:
        return answer(request, [DATACENTER])

    async def _services(self, request: web.Request) -> web.Response:
        return await self._topic(request, SERVICES, self._catalog.names)

    async def _nodes(self, request: web.Request) -> web.Response:
        return await self._topic(request, NODES, self._catalog.nodes)

    async def _node(self, request: web.Request) -> web.Response:
        wanted = name(request, "node name")

        def found() -> Any:
            node = self._catalog.node(wanted)
            return node and {"Node": node, "Services": {row["ID"]: row for row in self._services_on(node)}}

        return await self._topic(request, node_topic(wanted), found)

    async def _node_services(self, request: web.Request) -> web.Response:
        wanted = name(request, "node name")

        def found() -> Any:
            node = self._catalog.node(wanted)
            return {"Node": node, "Services": self._services_on(node) if node else None}

        return await self._topic(request, node_topic(wanted), found)

    def _services_on(self, node: Row) -> list[Row]:
        return self._catalog.services_on(node["Node"])

    async def _service(self, request: web.Request) -> web.Response:
        wanted = name(request, "service name")
        return await self._of_service(
            request, wanted, lambda: [catalog_entry(node, row) for node, row in self._tagged(request, wanted)]
        )

    async def _health(self, request: web.Request) -> web.Response:
        wanted = name(request, "service name")
        passing = request.query.get("passing", "false") in ("", "1", "t", "T", "true", "TRUE", "True")

        def found() -> list[dict[str, Any]]:
            entries: list[dict[str, Any]] = [
                {
                    "Node": node,
                    "Service": row,
                    "Checks": self._catalog.checks_of(node["Node"], "")
                    + self._catalog.checks_of(node["Node"], row["ID"]),
                }
                for node, row in self._tagged(request, wanted)
            ]
            return [
                entry
                for entry in entries
                if not passing or all(check["Status"] == PASSING for check in entry["Checks"])
            ]

        return await self._of_service(request, wanted, found)

    async def _health_node(self, request: web.Request) -> web.Response:
        wanted = name(request, "node name")
        return await self._topic(
            request, checks_topic(wanted), lambda: self._catalog.checks_on(self._catalog.spelling(wanted))
        )

    async def _health_checks(self, request: web.Request) -> web.Response:
        wanted = name(request, "service name")
        return await self._of_service(request, wanted, lambda: self._catalog.checks_of_name(wanted))

    async def _health_state(self, request: web.Request) -> web.Response:
        wanted = name(request, "check state")
        return await self._topic(request, ("state", wanted), lambda: self._catalog.checks_in(wanted))

    async def _topic(self, request: web.Request, topic: Any, found: Any) -> web.Response:
        return await blocking(
            request, self._store, Query(topic, lambda: self._store.index_of(topic), lambda: answer(request, found()))
        )

    async def _of_service(self, request: web.Request, wanted: str, found: Any) -> web.Response:
        return await blocking(
            request,
            self._store,
            Query(service_topic(wanted), lambda: self._catalog.service_index(wanted), lambda: answer(request, found())),
        )

    def _tagged(self, request: web.Request, wanted: str) -> list[tuple[Row, Row]]:
        tags = {tag.lower() for tag in request.query.getall("tag", [])}
        return [
            (node, row) for node, row in self._catalog.instances(wanted) if tags <= {tag.lower() for tag in row["Tags"]}
        ]

    async def _register(self, request: web.Request) -> web.Response:
        entry = go_json.body(await request.read(), structures.CATALOG)
        node = self._catalog.spelling(entry["Node"])
        service = entry["Service"]
        checks = [*(entry["Checks"] or []), *([entry["Check"]] if entry["Check"] else [])]
        # All of it before any of it is written: Consul registers all or nothing.
        _check_node(entry)
        row = service and _service_row(service)
        for check in checks:
            self._check_check(check, entry["Node"], row)
        self._store.advance()
        if not (entry["SkipNodeUpdate"] and self._catalog.node(node)):
            self._catalog.put_node(
                node_row(entry["ID"], node, entry["Address"], entry["TaggedAddresses"], entry["NodeMeta"])
            )
        if row:
            self._catalog.put_service(node, row)
        for check in checks:
            self._put_check(node, check)
        return answer(request, True)

    def _check_check(self, check: dict[str, Any], node: str, own: Row | None) -> None:
        """:raises ConsulError: for a check that cannot be registered, with the entry beside it or without."""
        if check["Node"] and check["Node"] != node:
            raise ConsulError(500, f'check node "{check["Node"]}" does not match node "{node}"')
        if not (check["CheckID"] or check["Name"]):
            raise ConsulError(
                500, f'failed inserting check: failed inserting check: object missing primary index on node "{node}"'
            )
        service_id = check["ServiceID"]
        beside = own is not None and own["ID"].lower() == service_id.lower()
        at = self._catalog.spelling(node)
        if service_id and not beside and not self._catalog.service_folded(at, service_id):
            raise ConsulError(500, f'failed inserting check: Missing service registration on node "{node}"')

    def _put_check(self, node: str, check: dict[str, Any]) -> None:
        self._catalog.put_check(
            check_row(
                node,
                check["CheckID"] or check["Name"],
                name=check["Name"],
                status=check["Status"] or CRITICAL,
                notes=check["Notes"],
                output=check["Output"],
                kind=check["Type"],
                service=self._catalog.service_folded(node, check["ServiceID"]) if check["ServiceID"] else None,
            )
        )

    async def _deregister(self, request: web.Request) -> web.Response:
        entry = go_json.body(await request.read(), structures.CATALOG)
        if not entry["Node"]:
            raise ConsulError(500, "Must provide node")
        check_datacenter(entry["Datacenter"])
        node = self._catalog.spelling(entry["Node"])
        self._store.advance()
        if entry["ServiceID"]:
            row = self._catalog.service_folded(node, entry["ServiceID"])
            self._catalog.remove_service(node, row["ID"] if row else entry["ServiceID"])
        elif entry["CheckID"]:
            row = self._catalog.check_folded(node, entry["CheckID"])
            self._catalog.remove_check(node, row["CheckID"] if row else entry["CheckID"])
        else:
            self._catalog.remove_node(node)
        return answer(request, True)


def _check_node(entry: dict[str, Any]) -> None:
    """:raises ConsulError: for a node that Consul refuses."""
    if not entry["Node"]:
        raise ConsulError(500, "Must provide node")
    if not entry["Address"] and not entry["SkipNodeUpdate"]:
        raise ConsulError(500, "Must provide address if SkipNodeUpdate is not set")
    check_datacenter(entry["Datacenter"])
    if entry["ID"] and len(entry["ID"]) != 36:
        raise ConsulError(500, "Bad node ID: uuid string is wrong length")


def _service_row(service: dict[str, Any]) -> Row:
    """The row of a service in a registration of the catalog. :raises ConsulError: for one that Consul refuses."""
    refuse_connect(service)
    service_name = service["Service"] or service["Name"]
    if not service_name:
        raise ConsulError(
            500,
            "Must provide service name with ID"
            if service["ID"]
            else "failed inserting service: failed inserting service: object missing primary index",
        )
    return service_row({**service, "Name": service_name}, service["ID"] or service_name)


def catalog_entry(node: Row, service: Row) -> dict[str, Any]:
    """An entry of ``/v1/catalog/service``: node and service in one, each field with its prefix."""
    tagged = service.get("TaggedAddresses")
    return {
        "ID": node["ID"],
        "Node": node["Node"],
        "Address": node["Address"],
        "Datacenter": node["Datacenter"],
        "TaggedAddresses": node["TaggedAddresses"],
        "NodeMeta": node["Meta"],
        "ServiceKind": "",
        "ServiceID": service["ID"],
        "ServiceName": service["Service"],
        "ServiceTags": service["Tags"],
        "ServiceAddress": service["Address"],
        **({"ServiceTaggedAddresses": tagged} if tagged else {}),
        "ServiceWeights": service["Weights"],
        "ServiceMeta": service["Meta"] or {},
        "ServicePort": service["Port"],
        "ServiceEnableTagOverride": service["EnableTagOverride"],
        "ServiceProxy": service["Proxy"],
        "ServiceConnect": service["Connect"],
        "CreateIndex": service["CreateIndex"],
        "ModifyIndex": service["ModifyIndex"],
    }

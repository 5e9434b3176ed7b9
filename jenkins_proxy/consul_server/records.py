"""The rows of the catalog, in the shapes that ``/v1/catalog`` and ``/v1/health`` answer with."""

from __future__ import annotations

import ipaddress
from typing import Any

from jenkins_proxy.consul_server.errors import missing
from jenkins_proxy.consul_server.state.state_store import Row

DATACENTER = "dc1"


def node_row(node_id: str, node: str, address: str, tagged: Any, meta: Any) -> Row:
    """The catalog's row of a node."""
    return {
        "ID": node_id,
        "Node": node,
        "Address": address,
        "Datacenter": DATACENTER,
        "TaggedAddresses": tagged,
        "Meta": meta,
    }


def service_row(service: dict[str, Any], service_id: str) -> Row:
    """The catalog's row of a service."""
    address, port = service["Address"], service["Port"]
    tagged = service["TaggedAddresses"] or _tagged(address, port)
    return {
        "ID": service_id,
        "Service": service["Name"] or service["Service"],
        "Tags": service["Tags"] or [],
        "Address": address,
        **({"TaggedAddresses": tagged} if tagged else {}),
        "Meta": service["Meta"] or None,
        "Port": port,
        "Weights": service["Weights"] or {"Passing": 1, "Warning": 1},
        "EnableTagOverride": service["EnableTagOverride"],
        "Proxy": {"MeshGateway": {}, "Expose": {}},
        "Connect": {},
    }


def check_row(
    node: str,
    check_id: str,
    *,
    name: str,
    status: str,
    notes: str = "",
    output: str = "",
    kind: str = "",
    service: Row | None = None,
) -> Row:
    """The catalog's row of a check: of the service, or of the node itself."""
    return {
        "Node": node,
        "CheckID": check_id,
        "Name": name,
        "Status": status,
        "Notes": notes,
        "Output": output,
        "ServiceID": service["ID"] if service else "",
        "ServiceName": service["Service"] if service else "",
        "ServiceTags": service["Tags"] if service else [],
        "Type": kind,
        "Definition": {},
    }


def refuse_connect(service: dict[str, Any]) -> None:
    """:raises ConsulError: 501, for a service that only Consul's service mesh has."""
    if service["Kind"] or _says(service["Proxy"]) or _says(service["Connect"]):
        raise missing("service mesh (Kind, Proxy and Connect of a service)", "register the service without them")


def _says(value: Any) -> bool:
    """Whether anything in it is other than Go's zero value."""
    if isinstance(value, dict):
        return any(map(_says, value.values()))
    return any(map(_says, value)) if isinstance(value, list) else bool(value)


def _tagged(address: str, port: int) -> Row:
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return {}
    place = {"Address": address, "Port": port}
    return {f"lan_ipv{version}": place, f"wan_ipv{version}": place}

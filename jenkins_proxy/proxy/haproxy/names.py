"""The names of HAProxy's backends and servers."""

from __future__ import annotations

from jenkins_proxy.model import Address

NO_ROUTE = "no-route"
"""The backend of requests that no route is for."""


def backend_name(service: str) -> str:
    """The name of a service's backend."""
    return f"{service}-be"


def server_name(address: Address) -> str:
    """The name of a server: stable for an address, and of characters that HAProxy allows: ``10.0.0.1:32768``."""
    return f"{address.host}:{address.port}"

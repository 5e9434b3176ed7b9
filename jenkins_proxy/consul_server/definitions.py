"""What an agent takes for a service and its checks: Consul's rules, over structures that :mod:`go_json` has read."""

from __future__ import annotations

from typing import Any

from jenkins_proxy.clients.consul.models import CHECK_KINDS
from jenkins_proxy.consul_server import go_json
from jenkins_proxy.consul_server.errors import ConsulError, missing
from jenkins_proxy.consul_server.records import refuse_connect
from jenkins_proxy.model import CRITICAL, PASSING, WARNING

STATUSES = (PASSING, WARNING, CRITICAL)
_FOREIGN = ("AliasNode", "AliasService", "DockerContainerID")
_MAX_WEIGHT = 65535


def check_service(service: dict[str, Any]) -> None:
    """:raises ConsulError: for a service that Consul refuses, or that the embedded registry does not have."""
    if not service["Name"]:
        raise ConsulError(400, "Missing service name")
    _check_address(service["Address"])
    _check_weights(service["Weights"])
    refuse_connect(service)


def loaded(kept: dict[str, Any]) -> dict[str, Any]:
    """A check's definition from the state file. :raises ConsulError: for one that the API would refuse."""
    definition = go_json.definition(kept)
    validate(definition)
    return definition


def kind_of(check: dict[str, Any]) -> str:
    """A check's type, in Consul's word."""
    return next((kind.type for kind in CHECK_KINDS if check[kind.field]), "")


def validate(check: dict[str, Any]) -> None:
    """:raises ConsulError: for a check that Consul refuses, or that the embedded registry does not have."""
    if check["Status"] and check["Status"] not in STATUSES:
        raise ConsulError(400, "Status for checks must 'passing', 'warning', 'critical'")
    if check["Args"] or check["ScriptArgs"] or check["Script"]:
        raise ConsulError(
            500,
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        )
    foreign = next((field for field in _FOREIGN if check[field]), "")
    if foreign:
        raise missing(f"checks by {foreign}", "register the service with HTTP, TCP, GRPC or TTL")
    polled = any(check[kind.field] for kind in CHECK_KINDS if kind.polled)
    if polled and check["TTL"]:
        raise ConsulError(400, "Invalid check: Interval and TTL cannot both be specified")
    if polled and check["Interval"] <= 0:
        raise ConsulError(400, "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks")
    if not polled and check["TTL"] <= 0:
        raise ConsulError(400, "Invalid check: TTL must be > 0 for TTL checks")
    if check["OutputMaxSize"] < 0:
        raise ConsulError(400, "Invalid check: MaxOutputMaxSize must be positive")


def checks_of(service: dict[str, Any], service_id: str) -> dict[str, dict[str, Any]]:
    """The checks of a service's registration by their IDs."""
    # One without a value is none to Consul.
    own = [service["Check"]] if service["Check"] and any(service["Check"].values()) else []
    given = [*(service["Checks"] or []), *own]
    checks = {}
    for number, check in enumerate(given, 1):
        validate(check)
        check_id = check["CheckID"] or f"service:{service_id}" + (f":{number}" if len(given) > 1 else "")
        check["Name"] = check["Name"] or f"Service '{service['Name']}' check"
        check["ServiceID"] = service_id
        checks[check_id] = check
    return checks


def _check_weights(weights: dict[str, Any] | None) -> None:
    if weights is None:
        return
    if weights["Passing"] < 1:
        raise ConsulError(400, "Invalid Weights: Passing must be greater than 0")
    if weights["Warning"] < 0:
        raise ConsulError(400, "Invalid Weights: Warning must be greater or equal than 0")
    if max(weights.values()) > _MAX_WEIGHT:
        raise ConsulError(400, "Invalid Weights: DNS Weight must be between 0 and 65535")


def _check_address(address: str) -> None:
    if address in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - refused here, not bound
        raise ConsulError(400, "Invalid service address")

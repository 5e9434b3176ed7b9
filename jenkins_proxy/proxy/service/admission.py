"""Why a route or a hold is not taken: another one has its path or its service, or nothing is behind it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.haproxy.config import route_keys
from jenkins_proxy.proxy.haproxy.config.route_defaults import NONE, RouteDefaults
from jenkins_proxy.proxy.holds import Hold
from jenkins_proxy.proxy.models import ConflictError, NotReadyError
from jenkins_proxy.proxy.reconcile.instances import Resolve, drained
from jenkins_proxy.validation import few


def refuse_conflict(route: Route, others: Iterable[Route], defaults: RouteDefaults = NONE) -> None:
    """:raises ConflictError: when the route of another service holds a path of this one.

    :param defaults: of all routes.
    """
    conflict = route_keys.conflict(defaults.reached(route), map(defaults.reached, others))
    if conflict:
        key, other = conflict
        where = (
            f"{key.domain}{key.path}"
            if key.path_type in (route_keys.EXACT, route_keys.PREFIX)
            else (f"{key.domain} {key.path_type} {key.path}".strip())
        )
        raise ConflictError(
            f"{where} of {route.service} belongs to the route of {other.service}",
            f"give {route.service} another path or domain, remove that route first, or take it over by takeOver=true",
        )


def refuse_unbound(route: Route, ports: Collection[str], tcp_ports: Collection[str]) -> None:
    """:raises UsageError: when the route is for a port where nothing of its kind can come in.

    Routes open no port: one that is taken would keep HAProxy from every later change.
    """
    what, bound = ("connection", tcp_ports) if route.tcp else ("request", ports)
    if route.src_port and route.src_port not in bound:
        raise UsageError(
            f"no {what} comes in at port {route.src_port}: the proxy listens at {', '.join(sorted(bound)) or 'none'}",
            f"start the daemon with {'--tcp-bind' if route.tcp else '--bind'} *:{route.src_port} as well",
        )


def refuse_empty(
    route: Route, instances: Sequence[Instance], drained_ids: Mapping[Address, str], resolve: Resolve
) -> None:
    """:raises ConflictError: when no instance would get requests; the text lists those that there are."""
    reasons = [(instance, _unfit(instance, drained_ids, resolve)) for instance in instances]
    if all(reason for _instance, reason in reasons):
        listed = few(f"{instance.address} {reason}" for instance, reason in reasons) or "none is registered"
        raise ConflictError(
            f"no live instance of {route.registry_name}: {listed}",
            "wait until one passes, or force it with allowEmpty=true; what served before serves on",
        )


def refuse_promoted(hold: Hold | None) -> None:
    """:raises ConflictError: when a deploy has promoted another route, which takes this one's place at its end."""
    if hold and hold.promoted:
        raise ConflictError(hold.conflict(), end_hint(hold.service))


def refuse_held(hold: Hold | None, key_sha256: str, replace: str, now: float) -> None:
    """:raises ConflictError: when a service is held by somebody else, whose time is not over.

    :param key_sha256: whoever has the key of the hold is who put it.
    :param replace: the ID of the hold that may be replaced all the same.
    """
    if hold and hold.key_sha256 != key_sha256 and hold.id != replace and not hold.expired(now):
        raise ConflictError(hold.conflict(), end_hint(hold.service))


def refuse_shared_key(service: str, key_sha256: str, holds: Mapping[str, Hold]) -> None:
    """:raises ConflictError: when the key leads to the candidates of another service already."""
    for hold in holds.values():
        if hold.key_sha256 == key_sha256 and hold.service != service:
            raise ConflictError(
                f"the key of this deploy is that of the hold of {hold.service}", "give each deploy a key of its own"
            )


def refuse_absent(service: str, addresses: Iterable[Address], alive: Collection[Address]) -> None:
    """:raises ConflictError: when an instance that users shall meet is not there."""
    absent = sorted({str(address) for address in addresses if address not in alive})
    if absent:
        raise ConflictError(
            f"not a live instance of {service}: {few(absent)}",
            f"there are: {few(sorted(alive)) or 'none'}",
        )


def end_hint(service: str) -> str:
    """How a hold is ended, for people."""
    return f"jenkins-proxy promote {service} or jenkins-proxy abort {service} ends it"


def refuse_unready(route: Route, some_ready: bool, waiting: Sequence[str]) -> None:
    """:raises NotReadyError: when no instance has answered; the text lists them.

    :param waiting: what is reported of each that has not.
    """
    if waiting and not some_ready:
        raise NotReadyError(
            f"no instance of {route.registry_name} is ready: {few(waiting)}",
            "see its log; check_path names a path that a ready instance answers with 2xx, 3xx, 401 or 403; "
            "what served before serves on",
        )


def _unfit(instance: Instance, drained_ids: Mapping[Address, str], resolve: Resolve) -> str:
    if instance.status == CRITICAL:
        return f"is critical ({' '.join(instance.output.split())[:200]})" if instance.output else "is critical"
    if drained(instance, drained_ids):
        return "is drained"
    if not instance.address.has_port:
        return "has no port that can be served"
    return "" if resolve(instance.address) else "has an unknown host name"

"""The JSON of the API: the states of routes and of the proxy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config.render import PROBE_HEADER
from jenkins_proxy.proxy.holds import Hold
from jenkins_proxy.proxy.models import Progress, ProxyState, Removal, RouteState, ServedInstance
from jenkins_proxy.proxy.service.hold_service import HoldState


def route_json(state: RouteState, *, probe_key: str = "", diff: bool = False) -> dict[str, Any]:
    """One route with what is behind it.

    :param probe_key: of the daemon, for callers who may see it; empty leaves ``probe`` out.
    :param diff: whether to add what the change makes different in HAProxy's configuration.
    """
    answer = {
        "service": state.route.service,
        "route": _route_data(state.route, trusted=bool(probe_key)),
        "version": state.version,
        "instances": [_instance_json(served) for served in state.instances],
        "applied": state.applied,
        "timings": {name: round(seconds, 6) for name, seconds in state.timings.items()},
        "refused": state.refused,
    }
    if state.hold:
        answer["hold"] = hold_json(state.hold, trusted=bool(probe_key))
    if probe_key:
        answer["probe"] = {"header": PROBE_HEADER, "key": probe_key}
    if state.proxies:
        answer["proxies"] = _progress_json(state.proxies)
    if state.cut is not None:
        answer["cut"] = state.cut
    if diff:
        answer["diff"] = state.diff
    return answer


def _instance_json(served: ServedInstance) -> dict[str, Any]:
    instance = served.instance
    return {
        "address": instance.address.host,
        "port": instance.address.port,
        "id": instance.id,
        "node": instance.node,
        "status": instance.status,
        "checked": instance.checked,
        "output": instance.output,
        "serving": served.serving,
        "draining": served.draining,
        "state": str(served.state),
        "waiting_seconds": round(served.waiting_seconds, 3),
    }


def _route_data(route: Route, *, trusted: bool) -> dict[str, Any]:
    # Who has no token may read which users there are, and not what their passwords could be guessed from.
    return route.as_dict() if trusted else route.as_shown()


def hold_json(hold: Hold, *, trusted: bool) -> dict[str, Any]:
    """A hold, without what leads to its candidates.

    :param trusted: whether the reader may see the hashes of passwords.
    """
    data = {**hold.as_dict(), "route": _route_data(hold.route, trusted=trusted)}
    del data["key_sha256"]
    return data


def hold_state_json(state: HoldState) -> dict[str, Any]:
    """The answer to a change of a hold: the hold, if there is one yet, and how far each proxy is.

    Who may change it may see all of it.
    """
    return {
        **(hold_json(state.hold, trusted=True) if state.hold else {}),
        "held": state.hold is not None,
        "proxies": _progress_json(state.proxies),
        "applied": state.applied,
        "seconds": round(state.seconds, 6),
    }


def removal_json(service: str, removal: Removal) -> dict[str, Any]:
    """The answer to the removal of a route."""
    return {"service": service, "removed": removal.removed, "proxies": _progress_json(removal.proxies)}


def _progress_json(proxies: Mapping[str, Progress]) -> dict[str, str]:
    return {name: str(progress) for name, progress in proxies.items()}


def health_json(state: ProxyState) -> dict[str, Any]:
    """The daemon in short."""
    return {
        "status": "serving" if state.serving else "not serving",
        "version": state.version,
        "routes": len(state.routes),
        "registry": {"up": state.registry_lost_since is None, "lost_since": state.registry_lost_since},
        "problem": state.problem,
    }


def in_trouble(state: RouteState) -> bool:
    """Whether a route needs attention: refused, without a server, or with an instance that takes no traffic."""
    if state.refused or not all(served.serving for served in state.instances):
        return True
    return not state.instances and not state.route.outbound_hostname

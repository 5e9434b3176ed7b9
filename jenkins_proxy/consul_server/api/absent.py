"""The calls of Consul that the embedded registry has not: each says so, and what to do.

An empty 404 would look like an answer: "there are none". What Consul itself does not know has its empty 404 here, too.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from jenkins_proxy.consul_server.errors import ConsulError, missing

_REAL = "it takes a Consul, which `jenkins-proxy serve --consul URL` uses"
_NONE = "/{rest:.*}"

# Path, methods of Consul, what it is, what to do instead.
_CALLS = (
    ("/v1/txn", ("PUT",), "transactions", "make the calls on /v1/kv one by one, with ?cas= where it matters"),
    ("/v1/agent/connect" + _NONE, ("GET", "POST"), "service mesh", _REAL),
    ("/v1/agent/force-leave" + _NONE, ("PUT",), "cluster", _REAL),
    ("/v1/agent/host", ("GET",), "report on its host", "ask the host itself"),
    ("/v1/agent/join" + _NONE, ("PUT",), "cluster", _REAL),
    ("/v1/agent/leave", ("PUT",), "cluster to leave", "stop `jenkins-proxy serve` instead"),
    ("/v1/agent/metrics", ("GET",), "metrics of its own", "read /metrics of the proxy's API"),
    ("/v1/agent/monitor", ("GET",), "log to stream", "read the log of `jenkins-proxy serve`"),
    ("/v1/agent/reload", ("PUT",), "configuration to reload", "start `jenkins-proxy serve` with other options"),
    ("/v1/catalog/connect" + _NONE, ("GET",), "service mesh", "ask /v1/catalog/service/NAME"),
    ("/v1/catalog/gateway-services" + _NONE, ("GET",), "service mesh", _REAL),
    ("/v1/config", ("PUT",), "configuration entries", _REAL),
    ("/v1/config" + _NONE, ("GET", "DELETE"), "configuration entries", _REAL),
    ("/v1/connect" + _NONE, ("GET", "PUT", "POST", "DELETE"), "service mesh", _REAL),
    ("/v1/coordinate" + _NONE, ("GET", "PUT"), "network coordinates", _REAL),
    ("/v1/discovery-chain" + _NONE, ("GET", "POST"), "service mesh", _REAL),
    ("/v1/event" + _NONE, ("GET", "PUT"), "user events", "write and watch a key of /v1/kv"),
    ("/v1/health/connect" + _NONE, ("GET",), "service mesh", "ask /v1/health/service/NAME"),
    ("/v1/health/ingress" + _NONE, ("GET",), "service mesh", "ask /v1/health/service/NAME"),
    ("/v1/internal" + _NONE, ("GET",), "user interface", "the page of the proxy's API shows what is registered"),
    ("/v1/operator" + _NONE, ("GET", "PUT", "POST", "DELETE"), "cluster", _REAL),
    ("/v1/query", ("GET", "POST"), "prepared queries", "ask /v1/health/service/NAME"),
    ("/v1/query" + _NONE, ("GET", "PUT", "DELETE"), "prepared queries", "ask /v1/health/service/NAME"),
    ("/v1/snapshot", ("GET", "PUT"), "snapshots", "copy its state file, or use `consul kv export`"),
)
# Consul's own answer where its ACLs are off, as they are here.
_ACL = ("/v1/acl" + _NONE, "/v1/agent/token" + _NONE)


def routes() -> list[web.RouteDef]:
    """The calls, to be added after those that there are."""
    absent = [
        web.route(method, path, _refusal(missing(what, instead)))
        for path, methods, what, instead in _CALLS
        for method in methods
    ]
    off = ConsulError(401, "ACL support disabled")
    return [
        web.post("/v1/internal/acl/authorize", _refusal(off)),
        *absent,
        *(web.route(method, path, _refusal(off)) for path in _ACL for method in ("GET", "PUT", "DELETE")),
    ]


def _refusal(error: ConsulError) -> Handler:
    async def refuse(_request: web.Request) -> web.Response:
        raise ConsulError(error.status, error.text)

    return refuse

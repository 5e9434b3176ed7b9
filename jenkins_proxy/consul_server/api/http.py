"""What all calls of the embedded registry's HTTP API share: blocking queries, JSON, errors, and who may call."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.consul_server.api.access import Access
from jenkins_proxy.consul_server.errors import ConsulError, missing
from jenkins_proxy.consul_server.records import DATACENTER
from jenkins_proxy.consul_server.state.state_store import Store

KV_MAX = 512 * 1024
"""Bytes: Consul's own limit for a value."""

_DEFAULT_WAIT, _MAX_WAIT = 300.0, 600.0
_UINT64 = 2**64
# An agent answers these of itself, whatever data center is asked for.
_LOCAL = "/v1/agent/"
# The calls that have the options in Consul; with any other, Consul does not look at them either.
_FILTERED = (
    "/v1/agent/services",
    "/v1/agent/checks",
    "/v1/catalog/nodes",
    "/v1/catalog/node/",
    "/v1/catalog/service/",
    "/v1/health/",
)
_BY_META = (
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/service/",
    "/v1/health/service/",
    "/v1/health/checks/",
    "/v1/health/state/",
)
# Go escapes these in JSON, so that it can stand in HTML.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True)
class Query:
    """A question that can block.

    :ivar topic: what wakes it.
    :ivar index: the index of the current answer.
    :ivar answer: makes the current answer.
    """

    topic: Hashable
    index: Callable[[], int]
    answer: Callable[[], web.Response]


async def blocking(request: web.Request, store: Store, query: Query) -> web.Response:
    """Answer a query, at once or, with ``?index=N``, when its index goes past N or ``?wait=`` is over.

    Only the index is looked at on each wake-up; the answer is made once.
    """
    asked, until = _asked(request)
    while asked and query.index() <= asked and time.monotonic() < until:
        await store.changed(query.topic, until - time.monotonic())
    response = query.answer()
    response.headers.update(
        {"X-Consul-Index": str(query.index()), "X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}
    )
    return response


def _asked(request: web.Request) -> tuple[int, float]:
    try:
        asked = uint64(request.query.get("index") or "0")
    except ValueError as error:
        raise ConsulError(400, "Invalid index") from error
    return asked, wait_until(request)


def wait_until(request: web.Request) -> float:
    """When ``?wait=`` is over, on the monotonic clock."""
    try:
        wait = go_duration.parse(request.query["wait"]) if request.query.get("wait") else 0.0
    except ValueError as error:
        raise ConsulError(400, "Invalid wait time") from error
    wait = min(wait, _MAX_WAIT) if wait > 0 else _DEFAULT_WAIT
    # As Consul does it: watchers that began together must not come back together.
    return time.monotonic() + wait + random.uniform(0, wait / 16)


def uint64(text: str) -> int:
    """A number as Go's ``ParseUint`` reads it. :raises ValueError: with Go's words, for what is none."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    # Python converts no number of thousands of digits.
    if len(text.lstrip("0")) > 20 or int(text) >= _UINT64:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def answer(request: web.Request, data: Any, status: int = 200) -> web.Response:
    """A JSON answer as Consul writes it: compact, or with ``?pretty`` for people."""
    if "pretty" in request.query:
        text = json.dumps(data, indent=4, ensure_ascii=False) + "\n"
    else:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return web.Response(
        status=status, body=text.translate(_ESCAPES).encode(), headers={hdrs.CONTENT_TYPE: "application/json"}
    )


def done() -> web.Response:
    """An answer without content."""
    return web.Response()


def name(request: web.Request, what: str) -> str:
    """The name at the end of the path. :raises ConsulError: when it is missing."""
    value = request.match_info["name"]
    if not value:
        raise ConsulError(400, f"Missing {what}")
    return value


def middleware(access: Access, body_seconds: float) -> Middleware:
    """What runs around every call: who may call, options that no call takes, and who is told of a write.

    :param body_seconds: within which a call's body has to be there. aiohttp tells nobody of a part that breaks it.
    """

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await before(request, handler)
        access.tell(request, response.status)
        return response

    async def before(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            access.check(request)
            _check_options(request)
            await with_timeout(request.read(), body_seconds)
            return await handler(request)
        except ConsulError as refusal:
            return web.Response(status=refusal.status, text=refusal.text)
        except TimeoutError:
            return web.Response(status=408)
        except web.RequestPayloadError:
            answer = web.Response(status=400, text="Request decode failed: the body cannot be read")
            # Nobody can tell where the next request begins.
            answer.force_close()
            return answer
        except web.HTTPException as error:
            return _refused(request, error)
        except OSError as error:
            # From the append log: a change that cannot be kept is refused, not forgotten later.
            return web.Response(status=500, text=f"the registry's state file cannot be written: {error.strerror}")

    return around


def _refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """What aiohttp refuses before any call of ours, in Consul's words."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return web.Response(
            status=413,
            text=f"Request body too large, max size: {KV_MAX} bytes. See "
            "https://www.consul.io/docs/agent/options.html#kv_max_value_size.",
        )
    if not isinstance(error, web.HTTPMethodNotAllowed):
        return web.Response(status=error.status)
    known = [method for method in ("GET", "PUT", "POST", "DELETE") if method in error.allowed_methods]
    headers = {"Allow": ",".join(["OPTIONS", *known])}
    if request.method == "OPTIONS":
        return web.Response(headers=headers)
    return web.Response(status=405, text=f"method {request.method} not allowed", headers=headers)


def check_datacenter(given: str) -> None:
    """:raises ConsulError: for another data center than the only one; none given is that one."""
    if given not in ("", DATACENTER):
        raise ConsulError(500, "No path to datacenter")


def with_redirects(routes: Sequence[web.RouteDef]) -> list[web.RouteDef]:
    """The calls, and those that name nothing at the end of their path, which Go's router leads to them."""
    paths = {route.path for route in routes}
    bare = dict.fromkeys(path.rpartition("/")[0] for path in paths if path.endswith(":.*}"))
    return [*routes, *(web.route("*", path, _redirect) for path in bare if path not in paths)]


async def _redirect(request: web.Request) -> web.Response:
    url = request.rel_url
    return web.Response(status=301, headers={hdrs.LOCATION: str(url.with_path(url.path + "/").with_query(url.query))})


def _check_options(request: web.Request) -> None:
    if "stale" in request.query and "consistent" in request.query:
        raise ConsulError(400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
    if not request.path.startswith(_LOCAL):
        check_datacenter(request.query.get("dc", ""))
    # Left out where Consul has it, it would give more than was asked for, and nobody would notice.
    if request.query.get("filter") and request.path.startswith(_FILTERED):
        raise missing("?filter=", "ask without it, and filter the answer")
    if request.query.get("node-meta") and request.path.startswith(_BY_META):
        raise missing("?node-meta=", "ask without it, and filter the answer")

"""The calls of Consul's HTTP API that this package makes, each a function that builds its :class:`Call`.

The clients have a method of the same name and arguments for each. https://developer.hashicorp.com/consul/api-docs (the
calls used here are the same from 1.0 on).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from jenkins_proxy.clients.consul import go_duration, models, rights
from jenkins_proxy.clients.consul.models import Check, KvPair, Node, Session
from jenkins_proxy.clients.consul.requests import MAX_ANSWER, Call, Reply, next_index
from jenkins_proxy.clients.consul.rights import Right
from jenkins_proxy.model import Instance

Result = TypeVar("Result")

_MAX_WAIT = 600.0
_RECURSE = {"recurse": "true"}
# A server that was started again and leads reads its log anew, and answers meanwhile with what was true long ago:
# Consul's default mode does not wait for its end, this one does ("Consistency Modes"; agent/consul/rpc.go,
# ``consistentRead``). What blocks on an index waits for it anyway.
_CONSISTENT = {"consistent": ""}
# Consul's with ACLs off, and those of a registry without such a call.
_NO_ACLS = (401, 404, 405, 501)


def _watch(
    path: str,
    read: Callable[[Any], Result],
    index: int,
    wait: float,
    *,
    query: Mapping[str, str] | None = None,
    empty: Any = None,
    max_bytes: int = MAX_ANSWER,
) -> Call[tuple[Result, int]]:
    """A GET that blocks when ``index`` is above 0, until something changes or ``wait`` seconds passed."""

    def present(reply: Reply) -> tuple[Result, int]:
        return read(reply.json()), next_index(_index(reply))

    wait = min(wait, _MAX_WAIT) if index else 0.0
    return Call(
        "GET",
        path,
        present,
        {**(query or {}), **({"index": str(index), "wait": go_duration.text(wait)} if index else _CONSISTENT)},
        wait=wait,
        index=index,
        absent=None if empty is None else lambda reply: (read(empty), next_index(_index(reply))),
        anew=functools.partial(_watch, path, read, 0, wait, query=query, empty=empty, max_bytes=max_bytes),
        max_bytes=max_bytes,
    )


def _index(reply: Reply) -> int:
    """Without one it is not Consul that answers, but for example a load balancer: a watch of that would spin."""
    if not reply.index:
        raise ValueError(f"HTTP {reply.status} without X-Consul-Index")
    return reply.index


def _segment(name: str) -> str:
    return quote(name, safe="")


def _json_body(data: Any) -> bytes:
    return json.dumps(data).encode()


def _nothing(_reply: Reply) -> None:
    return None


def agent() -> Call[dict[str, Any]]:
    """What the agent at this address reports of itself; with ACLs it needs ``agent:read``.

    It has ``Config.Version``, and with Consul a ``DebugConfig``.
    """
    return Call("GET", "/v1/agent/self", Reply.json)


def agent_node() -> Call[Node]:
    """The agent's own node, without its entries; with ACLs it needs ``agent:read``."""
    return Call("GET", "/v1/agent/self", lambda reply: models.parse_agent_node(reply.json()))


def missing_rights(part: str, options: Iterable[str] = ()) -> Call[list[Right]]:
    """The rights that the token lacks for a part, of :data:`rights.RIGHTS`.

    :param options: those of its options that it runs with.

    Consul has this call since 1.8, for its own page. Where ACLs are off, or the registry does not know it, none lacks.
    """
    needed = rights.needed(part, options)
    return Call(
        "POST",
        "/v1/internal/acl/authorize",
        lambda reply: rights.missing(needed, reply.json()),
        body=_json_body(rights.questions(needed)),
        absent=lambda _reply: [],
        absent_at=_NO_ACLS,
    )


def leader() -> Call[str]:
    """The address of the leading server; empty without one."""
    return Call("GET", "/v1/status/leader", Reply.json)


def services() -> Call[dict[str, list[str]]]:
    """All services by name, each with all the tags that its instances have."""
    return Call("GET", "/v1/catalog/services", lambda reply: dict(reply.json()), _CONSISTENT)


def watch_services(*, index: int = 0, wait: float = 0.0) -> Call[tuple[dict[str, list[str]], int]]:
    """:func:`services`, and the index to ask with next. The arguments are those of :func:`instances`."""
    return _watch("/v1/catalog/services", dict, index, wait)


def nodes(*, index: int = 0, wait: float = 0.0) -> Call[tuple[list[str], int]]:
    """The names of all nodes, and the index to ask with next. The arguments are those of :func:`instances`."""
    return _watch("/v1/catalog/nodes", lambda found: [node["Node"] for node in found], index, wait)


def node(
    name: str, *, index: int = 0, wait: float = 0.0, max_bytes: int = MAX_ANSWER
) -> Call[tuple[dict[str, tuple[int, ...]], int]]:
    """What is registered on a node, as :func:`models.parse_node` gives it, and the index to ask with next.

    Checks do not move it. The arguments are those of :func:`instances`.

    :param max_bytes: of the answer; one that is longer is an ``EndlessAnswer``.
    """
    return _watch(f"/v1/catalog/node/{_segment(name)}", models.parse_node, index, wait, empty={}, max_bytes=max_bytes)


def catalog_node(name: str) -> Call[Node | None]:
    """A node as the catalog has it, with the IDs of its entries; None, too, where the token may not see it."""
    return Call(
        "GET",
        f"/v1/catalog/node/{_segment(name)}",
        lambda reply: models.parse_catalog_node(reply.json()),
        _CONSISTENT,
        absent=_nothing,
    )


def instances(service: str, *, index: int = 0, wait: float = 0.0) -> Call[tuple[list[Instance], int]]:
    """All instances of a service, whatever their status, and the index to ask with next.

    :param index: what the last answer gave; above 0 the call blocks until something changes.
    :param wait: how many seconds it blocks at most; 600 is the registry's own limit.
    """
    return _watch(f"/v1/health/service/{_segment(service)}", models.parse_health, index, wait)


@functools.lru_cache(maxsize=2**15)
def service_index(service: str) -> Call[int]:
    """The index of a service: what :func:`instances` gives with it, without the instances.

    Asked for with a tag that no instance has, the answer is an empty list with the index of the whole service, which
    its entries and checks and those of its nodes move (Consul 1.8.7, agent/consul/state/catalog.go,
    ``maxIndexForService``).
    """
    return Call(
        "GET",
        f"/v1/health/service/{_segment(service)}",
        lambda reply: next_index(reply.index),
        {"tag": "jenkins-proxy:none"},
    )


def health_state(state: str = "any", *, index: int = 0, wait: float = 0.0) -> Call[tuple[list[Check], int]]:
    """All checks in a state (``any``, ``passing``, ``warning``, ``critical``), and the index to ask with next."""
    return _watch(f"/v1/health/state/{_segment(state)}", models.parse_checks, index, wait)


def register(service: Mapping[str, Any]) -> Call[None]:
    """Register with the agent at this address.

    :param service: the JSON of Consul's ``/v1/agent/service/register``: ``{"ID", "Name", "Address", "Port", …}``.
    """
    # Otherwise Consul keeps the checks that an earlier entry of this ID had.
    return Call("PUT", "/v1/agent/service/register", _nothing, {"replace-existing-checks": "true"}, _json_body(service))


def deregister(service_id: str) -> Call[None]:
    """Take an entry of this agent away; one that is not there is no error."""
    return Call("PUT", f"/v1/agent/service/deregister/{_segment(service_id)}", _nothing, absent=_nothing)


def agent_services() -> Call[dict[str, dict[str, Any]]]:
    """The entries of this agent by ID, in Consul's JSON."""
    return Call("GET", "/v1/agent/services", Reply.json)


def agent_checks() -> Call[dict[str, dict[str, Any]]]:
    """The checks of this agent by ID, in Consul's JSON."""
    return Call("GET", "/v1/agent/checks", Reply.json)


def update_check(check_id: str, status: str, output: str = "") -> Call[None]:
    """Report the status of a TTL check: ``passing``, ``warning`` or ``critical``."""
    return Call(
        "PUT",
        f"/v1/agent/check/update/{_segment(check_id)}",
        _nothing,
        body=_json_body({"Status": status, "Output": output}),
    )


def kv_get(key: str) -> Call[KvPair | None]:
    """One key, or None."""
    return Call("GET", _kv(key), lambda reply: models.parse_pairs(reply.json())[0], _CONSISTENT, absent=_nothing)


def kv_list(prefix: str) -> Call[list[KvPair]]:
    """All keys that begin with the prefix."""
    query = {**_RECURSE, **_CONSISTENT}
    return Call("GET", _kv(prefix), lambda reply: models.parse_pairs(reply.json()), query, absent=lambda _reply: [])


def kv_watch(prefix: str, *, index: int = 0, wait: float = 0.0) -> Call[tuple[list[KvPair], int]]:
    """:func:`kv_list`, and the index to ask with next. The arguments are those of :func:`instances`."""
    return _watch(_kv(prefix), models.parse_pairs, index, wait, query=_RECURSE, empty=())


def kv_put(key: str, value: bytes, *, cas: int | None = None, acquire: str = "", release: str = "") -> Call[bool]:
    """Write a key; False says that a condition did not hold and nothing was written.

    :param cas: write only when the key's modify index is this; 0: only when there is no such key.
    :param acquire: the ID of a session to lock the key with; False when another session holds it.
    :param release: the ID of the session that gives the key up.
    """
    query = {"cas": "" if cas is None else str(cas), "acquire": acquire, "release": release}
    return Call("PUT", _kv(key), Reply.json, {name: value for name, value in query.items() if value}, value)


def kv_delete(key: str, *, cas: int | None = None, recurse: bool = False) -> Call[bool]:
    """Delete a key, or with ``recurse`` all that begin with it; False only where ``cas`` did not hold."""
    query = {"cas": "" if cas is None else str(cas), "recurse": "true" if recurse else ""}
    return Call("DELETE", _kv(key), Reply.json, {name: value for name, value in query.items() if value})


def _kv(key: str) -> str:
    return "/v1/kv/" + quote(key, safe="/")


def session_create(name: str, ttl: float, *, behavior: str = "delete", lock_delay: float = 0.0) -> Call[str]:
    """Make a session and give its ID.

    :param ttl: seconds after which it ends unless renewed, 10 to 86400 (the registry may take twice as long);
        0 is without end.
    :param behavior: what its end does to the keys it holds: ``delete`` or ``release``.
    :param lock_delay: seconds for which nobody can lock what an ended session held.
    """
    body = {"Name": name, "Behavior": behavior, "LockDelay": go_duration.text(lock_delay)}
    if ttl:
        body["TTL"] = go_duration.text(ttl)
    return Call("PUT", "/v1/session/create", lambda reply: reply.json()["ID"], body=_json_body(body))


def session_renew(session_id: str) -> Call[bool]:
    """Start the session's time to live again; False when it is gone."""
    return Call("PUT", f"/v1/session/renew/{_segment(session_id)}", lambda _reply: True, absent=lambda _reply: False)


def session_destroy(session_id: str) -> Call[None]:
    """End a session, which releases or deletes what it holds."""
    return Call("PUT", f"/v1/session/destroy/{_segment(session_id)}", _nothing)


def session_info(session_id: str) -> Call[Session | None]:
    """A session, or None when it is gone."""
    path = f"/v1/session/info/{_segment(session_id)}"
    return Call("GET", path, lambda reply: models.parse_session(reply.json()), _CONSISTENT)

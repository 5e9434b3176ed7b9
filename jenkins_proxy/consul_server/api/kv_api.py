"""``/v1/kv`` and ``/v1/session``: https://developer.hashicorp.com/consul/api-docs/kv, …/session."""

from __future__ import annotations

import base64
from collections.abc import Callable

from aiohttp import web

from jenkins_proxy.consul_server import go_json, structures
from jenkins_proxy.consul_server.api.http import KV_MAX, Query, answer, blocking, name, uint64
from jenkins_proxy.consul_server.errors import ConsulError, missing
from jenkins_proxy.consul_server.kv import Keys
from jenkins_proxy.consul_server.sessions import TOPIC, Sessions
from jenkins_proxy.consul_server.state.state_store import Row, Store

_LOCK_DELAY = 15 * 10**9


class KvApi:
    """The calls on keys."""

    def __init__(self, store: Store, keys: Keys, sessions: Sessions) -> None:
        self._store = store
        self._keys = keys
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        path = "/v1/kv/{name:.*}"
        return [web.get(path, self._get, allow_head=False), web.put(path, self._put), web.delete(path, self._delete)]

    async def _get(self, request: web.Request) -> web.Response:
        key = request.match_info["name"]
        if "keys" in request.query or "recurse" in request.query:
            return await blocking(
                request,
                self._store,
                Query(("prefix", key), lambda: self._keys.below(key)[1], lambda: self._listing(request, key)),
            )
        name(request, "key name")
        return await blocking(
            request, self._store, Query(("key", key), lambda: self._keys.get(key)[1], lambda: self._pair(request, key))
        )

    def _pair(self, request: web.Request, key: str) -> web.Response:
        row, _ = self._keys.get(key)
        if row is None:
            return web.Response(status=404)
        if "raw" in request.query:
            # A value is anybody's bytes: a browser must not take it for a page of ours.
            return web.Response(
                body=base64.b64decode(row["Value"] or ""),
                content_type="text/plain",
                headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
            )
        return answer(request, [row])

    def _listing(self, request: web.Request, prefix: str) -> web.Response:
        rows, _ = self._keys.below(prefix)
        if not rows:
            return web.Response(status=404)
        if "keys" in request.query:
            return answer(request, _levels([row["Key"] for row in rows], prefix, request.query.get("separator", "")))
        return answer(request, rows)

    async def _put(self, request: web.Request) -> web.Response:
        key = name(request, "key name")
        _no_conflict(request, "cas", "acquire", "release")
        value = await request.read()
        if len(value) > KV_MAX:
            raise web.HTTPRequestEntityTooLarge(KV_MAX, len(value))
        flags = _number(request, "flags")
        query = request.query
        if "" in (query.get("acquire"), query.get("release")):
            raise ConsulError(500, "missing session")
        if "acquire" in query:
            return answer(request, self._lock(key, value, flags, query["acquire"]))
        self._store.advance()
        if "release" in query:
            return answer(request, self._keys.unlock(key, value, flags, query["release"]))
        if "cas" in query:
            return answer(request, self._keys.check_and_set(key, value, flags, _number(request, "cas")))
        self._keys.set(key, value, flags)
        return answer(request, True)

    def _lock(self, key: str, value: bytes, flags: int, session: str) -> bool:
        if self._sessions.get(session) is None:
            raise ConsulError(500, f'invalid session "{session}"')
        if self._sessions.delayed(key):
            return False
        self._store.advance()
        return self._keys.lock(key, value, flags, session)

    async def _delete(self, request: web.Request) -> web.Response:
        _no_conflict(request, "recurse", "cas")
        if "recurse" in request.query:
            self._store.advance()
            for key in self._keys.names(request.match_info["name"]):
                self._keys.delete(key)
            return answer(request, True)
        key = name(request, "key name")
        self._store.advance()
        if "cas" in request.query:
            return answer(request, self._keys.check_and_delete(key, _number(request, "cas")))
        self._keys.delete(key)
        return answer(request, True)


class SessionApi:
    """The calls on sessions.

    :param node: the name of the node that sessions are on unless they say otherwise.
    """

    def __init__(self, store: Store, sessions: Sessions, node: str) -> None:
        self._store = store
        self._sessions = sessions
        self._node = node

    def routes(self) -> list[web.RouteDef]:
        return [
            web.put("/v1/session/create", self._create),
            web.put("/v1/session/destroy/{name:.*}", self._destroy),
            web.put("/v1/session/renew/{name:.*}", self._renew),
            web.get("/v1/session/info/{name:.*}", self._info, allow_head=False),
            web.get("/v1/session/list", self._list, allow_head=False),
            web.get("/v1/session/node/{name:.*}", self._on_node, allow_head=False),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        given = go_json.body(await request.read() or b"{}", structures.SESSION, strict=False)
        if given["ServiceChecks"]:
            raise missing("ServiceChecks of a session", "name them in its Checks")
        checks = [item for item in (given["Checks"], given["NodeChecks"]) if item is not None]
        session_id = self._sessions.create(
            name=given["Name"],
            node=given["Node"] or self._node,
            ttl=given["TTL"],
            behavior=given["Behavior"] or "release",
            lock_delay=_LOCK_DELAY if given["LockDelay"] is None else given["LockDelay"],
            checks=checks[0] if checks else ["serfHealth"],
        )
        return answer(request, {"ID": session_id})

    async def _destroy(self, request: web.Request) -> web.Response:
        session_id = name(request, "session")
        self._sessions.get(session_id)
        self._sessions.destroy(session_id)
        return answer(request, True)

    async def _renew(self, request: web.Request) -> web.Response:
        session_id = name(request, "session")
        row = self._sessions.renew(session_id)
        if row is None:
            raise ConsulError(404, f"Session id '{session_id}' not found")
        return answer(request, [row])

    async def _info(self, request: web.Request) -> web.Response:
        session_id = name(request, "session")
        self._sessions.get(session_id)
        return await blocking(
            request,
            self._store,
            Query(
                ("session", session_id),
                lambda: self._store.index_of(TOPIC),
                lambda: answer(request, _present(self._sessions.get(session_id))),
            ),
        )

    async def _list(self, request: web.Request) -> web.Response:
        return await self._listed(request, self._sessions.all)

    async def _on_node(self, request: web.Request) -> web.Response:
        node = name(request, "node name")
        return await self._listed(request, lambda: self._sessions.on(node))

    async def _listed(self, request: web.Request, rows: Callable[[], list[Row]]) -> web.Response:
        return await blocking(
            request, self._store, Query(TOPIC, lambda: self._store.index_of(TOPIC), lambda: answer(request, rows()))
        )


def _present(row: Row | None) -> list[Row]:
    return [row] if row else []


def _levels(keys: list[str], prefix: str, separator: str) -> list[str]:
    """The keys, cut after the first separator past the prefix, each once."""
    if not separator:
        return keys
    cut = [
        prefix + key[len(prefix) :].partition(separator)[0] + (separator if separator in key[len(prefix) :] else "")
        for key in keys
    ]
    return list(dict.fromkeys(cut))


def _number(request: web.Request, option: str) -> int:
    try:
        return uint64(request.query.get(option, "0"))
    except ValueError as error:
        raise ConsulError(500, str(error)) from error


def _no_conflict(request: web.Request, *options: str) -> None:
    given = sorted(option for option in options if option in request.query)
    if len(given) > 1:
        raise ConsulError(
            400, "Conflicting flags: " + "&".join(f"{option}={request.query[option]}" for option in given)
        )

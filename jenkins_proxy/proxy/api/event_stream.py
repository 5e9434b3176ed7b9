"""``/v1/events``: what happens, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api.auth import Authenticator, guarded
from jenkins_proxy.proxy.events import EventLog, event_json
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class EventStream:
    """The handler.

    :param max_readers: how many may follow at once that may only read, and as many again that may change.
    """

    def __init__(
        self, event_log: EventLog, authenticator: Authenticator, *, max_readers: int = 200, timing: Timing = DEFAULT
    ) -> None:
        self._event_log = event_log
        self._authenticator = authenticator
        self._max_readers = max_readers
        self._timing = timing
        # Those that may change, and the others.
        self._readers = {True: 0, False: 0}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/events", self.events, allow_head=False)

    @guarded(Role.READ, pages=True)
    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; ``Last-Event-ID`` (or ``after``, for the first connection) replays what was missed."""
        known = self._authenticator.knows(request)
        if self._readers[known] >= self._max_readers:
            raise ProxyError(f"{self._readers[known]} readers follow the events already", "close some of them")
        last_seen = request.headers.get("Last-Event-ID") or request.query.get("after")
        position = self._event_log.position(last_seen) if last_seen else self._event_log.last
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._readers[known] += 1
        try:
            await response.prepare(request)
            await self._stream(response, position)
        except (TimeoutError, ConnectionError):
            pass  # the reader is gone, or reads no more: neither is an error of the daemon
        finally:
            self._readers[known] -= 1
        return response

    async def _stream(self, response: web.StreamResponse, position: int) -> None:
        await self._send(response, "retry: 2000\n\n")
        while not self._event_log.closed:
            entries = self._event_log.after(position)
            # A comment now and then shows proxies and readers that the connection lives.
            text = "".join(self._message(at, event_json(event)) for at, event in entries) or ": still here\n\n"
            await self._send(response, text)
            position = entries[-1][0] if entries else position
            await self._event_log.wait(position, self._timing.stream_heartbeat)

    def _message(self, position: int, event: Mapping[str, Any]) -> str:
        return f"id: {self._event_log.identifier(position)}\ndata: {json.dumps(event)}\n\n"

    async def _send(self, response: web.StreamResponse, text: str) -> None:
        await with_timeout(response.write(text.encode()), self._timing.stream_write)

"""Sessions, which hold locks: each ends by a call, by its time to live, or with a check that it depends on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.consul_server.catalog import Catalog
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.kv import Keys
from jenkins_proxy.consul_server.state.state_store import Row, Store, Timing
from jenkins_proxy.model import CRITICAL

TOPIC = "sessions"

# Consul ends a session only after twice its time to live, so that a slow renewal loses no lock.
_GRACE = 2


class Sessions:
    """The sessions' table. Times to live run from :meth:`start` on."""

    def __init__(self, store: Store, catalog: Catalog, keys: Keys, timing: Timing) -> None:
        self._store = store
        self._catalog = catalog
        self._keys = keys
        self._timing = timing
        self._rows: dict[str, Row] = store.tables["sessions"]
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._delays: dict[str, float] = {}
        catalog.on_critical = self._end_of_check

    def start(self) -> None:
        """Start the times to live of the sessions that were loaded: whoever holds them needs time to come back."""
        for session_id in self._rows:
            self._start_timer(session_id)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def get(self, session_id: str) -> Row | None:
        """A session, or None when it is gone. :raises ConsulError: for a text that is no ID."""
        if len(session_id) != 36:
            raise ConsulError(500, "failed session lookup: index error: UUID must be 36 characters")
        return self._rows.get(session_id)

    def all(self) -> list[Row]:
        return [row for _, row in sorted(self._rows.items())]

    def on(self, node: str) -> list[Row]:
        return [row for row in self.all() if row["Node"].lower() == node.lower()]

    def create(self, *, name: str, node: str, ttl: str, behavior: str, lock_delay: int, checks: Sequence[str]) -> str:
        """Make a session, and give its ID.

        :param ttl: a Go duration, or empty.
        :param lock_delay: nanoseconds.
        :raises ConsulError: for what Consul refuses.
        """
        if self._catalog.node(node) is None:
            raise ConsulError(500, "Missing node registration")
        if behavior not in ("release", "delete"):
            raise ConsulError(500, f"Invalid Behavior setting '{behavior}'")
        self._check_ttl(ttl)
        for check_id in checks:
            check = self._catalog.check_folded(node, check_id)
            if check is None:
                raise ConsulError(500, f"Missing check '{check_id}' registration")
            if check["Status"] == CRITICAL:
                raise ConsulError(500, f"Check '{check_id}' is in critical state")
        session_id = str(uuid.uuid4())
        index = self._store.advance()
        self._store.put(
            "sessions",
            session_id,
            {
                "ID": session_id,
                "Name": name,
                "Node": node,
                "LockDelay": lock_delay,
                "Behavior": behavior,
                "TTL": ttl,
                "NodeChecks": list(checks),
                "ServiceChecks": None,
                "CreateIndex": index,
                "ModifyIndex": index,
            },
        )
        self._touch(session_id)
        self._start_timer(session_id)
        return session_id

    def renew(self, session_id: str) -> Row | None:
        """Start a session's time to live again; None when it is gone."""
        row = self.get(session_id)
        if row:
            self._start_timer(session_id)
        return row

    def destroy(self, session_id: str) -> None:
        """End a session, if it is there, and with it its locks.

        :raises OSError: when it cannot be kept; the session is there, perhaps with fewer locks.
        """
        row = self._rows.get(session_id)
        if row is None:
            return
        self._store.advance()
        # The locks first: those of a session that is gone would never end.
        held = self._keys.release(session_id, row["Behavior"] == "delete")
        self._store.drop("sessions", session_id)
        self._cancel_timer(session_id)
        self._touch(session_id)
        until = asyncio.get_running_loop().time() + row["LockDelay"] / 1e9
        self._delays.update(dict.fromkeys(held, until))

    def delayed(self, key: str) -> bool:
        """Whether a key cannot be locked yet, because the session that held it ended just now."""
        now = asyncio.get_running_loop().time()
        self._delays = {name: until for name, until in self._delays.items() if until > now}
        return key in self._delays

    def _touch(self, session_id: str) -> None:
        self._store.touch(TOPIC)
        self._store.wake(("session", session_id))

    def _start_timer(self, session_id: str) -> None:
        self._cancel_timer(session_id)
        seconds = go_duration.parse(self._rows[session_id]["TTL"] or "0")
        if seconds:
            self._end_in(seconds * _GRACE, session_id)

    def _end_in(self, seconds: float, session_id: str) -> None:
        self._timers[session_id] = asyncio.get_running_loop().call_later(seconds, self._end, session_id)

    def _end(self, session_id: str) -> None:
        """End a session without a call; when that cannot be kept, try again later."""
        try:
            self.destroy(session_id)
        except OSError:
            self._cancel_timer(session_id)
            self._end_in(self._timing.retry, session_id)

    def _cancel_timer(self, session_id: str) -> None:
        timer = self._timers.pop(session_id, None)
        if timer:
            timer.cancel()

    def _end_of_check(self, node: str, check_id: str) -> None:
        for session_id, row in list(self._rows.items()):
            checks = {name.lower() for name in row["NodeChecks"]}
            if row["Node"].lower() == node.lower() and check_id.lower() in checks:
                self._end(session_id)

    def _check_ttl(self, ttl: str) -> None:
        if not ttl:
            return
        try:
            seconds = go_duration.parse(ttl)
        except ValueError as error:
            raise ConsulError(500, f"Session TTL '{ttl}' invalid: {error}") from error
        if seconds and not self._timing.min_session_ttl <= seconds <= self._timing.max_session_ttl:
            raise ConsulError(500, f"Invalid Session TTL '{round(seconds * 1e9)}', must be between [10s=24h0m0s]")

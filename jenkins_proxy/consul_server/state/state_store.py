"""The embedded registry's tables: rows, one growing index, and whoever waits for a change of one thing.

A row is the JSON that the API answers with. A *topic* is what a blocking query waits for: ``("service", "books-ms")``,
``("prefix", "jenkins-proxy/routes/")``. A change wakes the queries on its topics and no others: the watchers of a
thousand services cost nothing while another service changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.consul_server.state import state_rows
from jenkins_proxy.consul_server.state.append_log import AppendLog
from jenkins_proxy.errors import UsageError

_LOG = logging.getLogger(__name__)

Row = dict[str, Any]
Key = Any
"""A row's key within its table, of one type a table: a name or an ID, or a node's name with an ID."""

_COMPACT_AFTER = 1000
# How many of the records that are left out are named, each in a line.
_SAID = 5


@dataclass(frozen=True)
class Timing:
    """The times of the embedded registry, in seconds.

    :ivar retry: after which a change that could not be kept is tried again, where no caller learns of it and does so.
    :ivar min_check_interval: a check that asks for a shorter one runs at this one, as Consul's do.
    :ivar min_deregister_after: Consul takes no shorter ``DeregisterCriticalServiceAfter``.
    :ivar min_session_ttl: Consul takes no shorter time to live of a session.
    :ivar max_session_ttl: Consul takes no longer one.
    :ivar first_check_within: Consul waits a random part of a check's interval before its first run; this much of it is
        enough to spread a start.
    :ivar stop_within: how long calls may go on when the registry stops.
    :ivar idle_within: after which a connection without a call is closed: who asks no more leaves its place to others.
    :ivar body_within: after which a call's body that is not there is waited for no longer.
    """

    retry: float = 1.0
    min_check_interval: float = 1.0
    min_deregister_after: float = 60.0
    min_session_ttl: float = 10.0
    max_session_ttl: float = 86400.0
    first_check_within: float = 1.0
    stop_within: float = 1.0
    idle_within: float = 75.0
    body_within: float = 60.0


class Store:
    """Tables of rows by key.

    :param append_log: where changes are kept; what it holds is loaded.
    """

    def __init__(self, append_log: AppendLog) -> None:
        self._append_log = append_log
        self._complaint = ""
        self._kept_aside = False
        self._compact_after = _COMPACT_AFTER
        self.tables: dict[str, dict[Key, Row]] = {name: {} for name in state_rows.TABLES}
        self._topics: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, set[asyncio.Future[None]]] = {}
        self.index = 1
        self._load()
        # Above every index ever answered: a watcher that outlived a restart gets an answer at once, and does not wait.
        self._floor = self.index = self.index + 1 if self.index > 1 else 1
        try:
            append_log.rewrite(self._records())
        except UsageError as error:
            # A full disk: what it holds is served, and changes are refused until there is room.
            if not _is_full(error.__cause__) or not append_log.resume():
                raise
            _LOG.warning("%s: changes are refused until there is room", error.message)

    def _load(self) -> None:
        left_out: dict[tuple[str, Key], str] = {}
        for index, table, key, row in self._append_log.load():
            self.index = max(self.index, index)
            left_out.pop((table, key), None)
            try:
                self._apply(table, key, None if row is None else state_rows.read_row(table, key, row))
            except ValueError as error:
                self._apply(table, key, None)
                left_out[table, key] = str(error)
        for table in ("services", "checks"):
            for key in list(self.tables[table]):
                reason = state_rows.orphan(table, key, self.tables)
                if reason:
                    self._apply(table, key, None)
                    left_out[table, key] = reason
        if left_out:
            self._tell(left_out)

    def _tell(self, left_out: Mapping[tuple[str, Key], str]) -> None:
        for (table, key), reason in list(left_out.items())[:_SAID]:
            _LOG.warning("%s of the registry's state file is left out: %s", f"{table} {key!r}"[:120], reason[:200])
        if len(left_out) > _SAID:
            _LOG.warning("%d more records of the state file are left out", len(left_out) - _SAID)
        self.keep_aside()

    def keep_aside(self) -> None:
        """Copy the state file, once: what is left out of it is gone when it is written anew."""
        if self._kept_aside:
            return
        self._kept_aside = True
        try:
            _LOG.warning("the state file with what is left out is kept as %s", self._append_log.keep_aside())
        except OSError as error:
            _LOG.warning("the state file with what is left out could not be copied: %s", error.strerror)

    def advance(self) -> int:
        """Begin a change: the index that its rows and topics get."""
        self.index += 1
        return self.index

    def put(self, table: str, key: Key, row: Row) -> None:
        """Write a row, into the file first: a change that cannot be kept is not answered with success."""
        self._keep(table, key, row)

    def drop(self, table: str, key: Key) -> None:
        """Delete a row, if it is there."""
        if key in self.tables[table]:
            self._keep(table, key, None)

    def touch(self, *topics: Hashable) -> None:
        """Say that topics changed with the current index."""
        for topic in topics:
            self._topics[topic] = self.index
            self.wake(topic)

    def forget(self, topic: Hashable) -> None:
        """Drop the index of a topic that is gone: the queries on it wake up."""
        self._topics.pop(topic, None)
        self.wake(topic)

    def index_of(self, topic: Hashable, default: int = 0) -> int:
        """The index of a topic's last change."""
        return self._topics.get(topic, default or self._floor)

    def wake(self, topic: Hashable) -> None:
        """Wake the queries that wait for a topic."""
        for future in self._waiting.pop(topic, ()):
            if not future.done():
                future.set_result(None)

    async def changed(self, topic: Hashable, seconds: float) -> None:
        """Return when the topic is touched, or after that many seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(topic, set()).add(future)
        try:
            with contextlib.suppress(TimeoutError):
                await with_timeout(future, seconds)
        finally:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[topic]

    @property
    def waiting(self) -> int:
        """How many queries wait."""
        return sum(len(futures) for futures in self._waiting.values())

    def close(self) -> None:
        self._append_log.close()

    def _keep(self, table: str, key: Key, row: Row | None) -> None:
        try:
            self._append_log.append(self.index, table, key, row)
        except OSError as error:
            self._complain(f"the registry's state file cannot be written: {error.strerror}")
            raise
        self._complaint = ""
        self._apply(table, key, row)
        self._compact()

    def _complain(self, text: str) -> None:
        """Log it once, and not with each change, of which there may be thousands a second."""
        if self._complaint != text:
            self._complaint = text
            _LOG.warning("%s", text)

    def _apply(self, table: str, key: Key, row: Row | None) -> None:
        if row is None:
            self.tables[table].pop(key, None)
        else:
            self.tables[table][key] = row

    def _compact(self) -> None:
        live = sum(len(rows) for rows in self.tables.values())
        if self._append_log.appended <= max(self._compact_after, 2 * live):
            return
        try:
            self._append_log.rewrite(self._records())
            self._compact_after = _COMPACT_AFTER
        except UsageError as error:
            # The change that led here is kept, and the old file goes on. It is tried again after as many changes more.
            _LOG.warning("%s", error.message)
            self._compact_after = self._append_log.appended + _COMPACT_AFTER

    def _records(self) -> Iterator[tuple[int, str, Key, Row]]:
        for table, rows in self.tables.items():
            for key, row in rows.items():
                yield self.index, table, key, row


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

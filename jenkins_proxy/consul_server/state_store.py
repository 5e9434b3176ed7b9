"""The embedded registry's tables: rows, one growing index, and whoever waits for a change of one thing.

A row is the JSON that the API answers with. A *topic* is what a blocking query waits for: ``("service", "books-ms")``,
``("prefix", "jenkins-proxy/routes/")``. A change wakes the queries on its topics and no others, so that a thousand
watchers cost nothing while a thousand and first service changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.consul_server.append_log import AppendLog
from jenkins_proxy.errors import UsageError

Row = dict[str, Any]
Key = Hashable

AGAIN = 1.0
"""Seconds after which a change that could not be kept is tried again, where no caller is told and does it."""

_COMPACT_AFTER = 1000
TABLES = ("nodes", "services", "checks", "definitions", "kv", "sessions")


class Store:
    """Tables of rows by key.

    :param journal: where changes are kept; what it holds is loaded.
    :param warn: called with a line for people when changes cannot be kept any more.
    """

    def __init__(self, append_log: AppendLog, warn: Callable[[str], None] = lambda _text: None) -> None:
        self._append_log = append_log
        self._warn = warn
        self._complaint = ""
        self._compact_after = _COMPACT_AFTER
        self.tables: dict[str, dict[Key, Row]] = {name: {} for name in TABLES}
        self._topics: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, set[asyncio.Future]] = {}
        self.index = 1
        for index, table, key, row in append_log.load():
            self.index = max(self.index, index)
            self._apply(table, key, row)
        # Above every index ever answered: a watcher that outlived a restart gets an answer at once, and never a stall.
        self._floor = self.index = self.index + 1 if self.index > 1 else 1
        append_log.rewrite(self._records())

    def advance(self) -> int:
        """Begin a change: the index that its rows and topics get."""
        self.index += 1
        return self.index

    def put(self, table: str, key: Key, row: Row) -> None:
        """Write a row, into the journal first: what cannot be kept is not answered with success."""
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
        """Drop a topic's index, for what is no more: the queries on it wake up."""
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
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(topic, set()).add(future)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
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
        """Say it once, and not with each change, of which there may be thousands a second."""
        if self._complaint != text:
            self._complaint = text
            self._warn(text)

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
            # The change that led here is kept, and the old file goes on. So much more history, and it is tried again.
            self._warn(error.message)
            self._compact_after = self._append_log.appended + _COMPACT_AFTER

    def _records(self) -> Iterator[tuple[int, str, Key, Row]]:
        for table, rows in self.tables.items():
            for key, row in rows.items():
                yield self.index, table, key, row

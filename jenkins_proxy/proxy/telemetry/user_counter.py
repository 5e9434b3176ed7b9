"""Counts the requests of users of some services, from the lines that HAProxy logs into its ring.

Every worker is followed from its start to its end, also while nothing is counted, when there is no line to read: a
worker of before a reload can be asked only through the master, and would end with its last line unread. The
connection over which it is followed keeps it alive until it has nothing more to do and all its lines were read.

That nothing is missing is checked against HAProxy's own counters: of the requests that a backend has got since the
count began, each was logged or is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy import ring
from jenkins_proxy.proxy.haproxy.names import backend_name
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.telemetry.user_counts import Counts, duration_class, failed
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.retry import Deadline

Answer = TypeVar("Answer")


@dataclass
class _Count:
    """One service's count, under way.

    :ivar lines: read so far, by the worker's process ID; those of a deploy itself are among them.
    :ivar base: the requests that a worker's backend had got when the count began, by its process ID.
    """

    service: str
    token: str
    requests: int = 0
    failed: int = 0
    exact: bool = True
    histogram: Counter[int] = field(default_factory=Counter)
    lines: Counter[int] = field(default_factory=Counter)
    base: Counter[int] = field(default_factory=Counter)

    @property
    def backend(self) -> str:
        return backend_name(self.service)

    def add(self, request: ring.Request, pid: int) -> None:
        self.lines[pid] += 1
        if request.keyed:
            return
        self.requests += 1
        self.failed += failed(request)
        self.histogram[duration_class(request.milliseconds)] += 1

    def counts(self) -> Counts:
        return Counts(self.requests, self.failed, dict(self.histogram), self.exact)


class UserCounter:
    """The counts of one HAProxy.

    :param tasks: where its own are started.
    """

    def __init__(self, haproxy: HAProxy, tasks: TaskGroup, timing: Timing = DEFAULT) -> None:
        self._haproxy = haproxy
        self._runtime = haproxy.runtime
        self._tasks = tasks
        self._timing = timing
        self._counts: dict[str, _Count] = {}
        self._tokens: dict[str, _Count] = {}
        self._workers: dict[int, ring.Events] = {}
        self._current = 0
        self._ended: set[int] = set()
        self._lock = asyncio.Lock()

    async def start(self, service: str) -> None:
        """Count a service from now on; nothing where it is counted already.

        :raises ProxyError: HAProxy or the disk refuses.
        """
        async with self._lock:
            if service in self._counts:
                return
            count = _Count(service, secrets.token_hex(4))
            # It is followed already, unless it did not answer at its start.
            try:
                await self._follow()
            except ProxyError:
                count.exact = False
            # A worker to come reads the file; those that run are asked.
            await self._write({**self._map(), count.backend: count.token})
            self._counts[service] = self._tokens[count.token] = count
            for pid in list(self._workers):
                await self._begin(count, pid)

    def counts(self, service: str) -> Counts | None:
        """What was counted so far; None when the service is not counted."""
        count = self._counts.get(service)
        return count.counts() if count else None

    async def stop(self, service: str) -> Counts:
        """End a count. Requests that have ended by now are in it.

        :raises KeyError: the service is not counted.
        """
        count = self._counts[service]
        await self._read_up(count)
        async with self._lock:
            if self._counts.get(service) is not count:
                return count.counts()
            del self._tokens[count.token]
            others = {backend: token for backend, token in self._map().items() if backend != count.backend}
            # What cannot be taken out of the map costs time, but no request.
            with contextlib.suppress(ProxyError):
                await self._write(others)
            for pid in list(self._workers):
                with contextlib.suppress(ProxyError):
                    await self._runtime.change_worker(pid, f"del map {ring.COUNTED_MAP} {count.backend}")
            # Only now: what it has counted is asked for meanwhile.
            del self._counts[service]
        return count.counts()

    async def on_worker(self) -> None:
        """A new worker serves: follow it, and the one of before until its end."""
        async with self._lock:
            with contextlib.suppress(ProxyError):
                await self._follow()
                return
            self._lose(self._counts.values())

    def close(self) -> None:
        """Follow no worker any more, so that none is kept alive."""
        self._ended.update(self._workers)
        for events in self._workers.values():
            events.close()

    async def _follow(self) -> None:
        known = {*self._workers, *self._ended}
        events = await self._runtime.follow(ring.RING, lambda pid: pid not in known)
        if events.pid in self._workers:
            events.close()
            return
        before, self._current = self._current, events.pid
        self._workers[events.pid] = events
        self._tasks.keep(f"the count of worker {events.pid}", functools.partial(self._read, events))
        if before in self._workers:
            self._tasks.keep(f"the end of worker {before}", functools.partial(self._end, before))
        # The map's file was read before a count began that this worker should know of.
        self._lose(await self._sync(events.pid))

    async def _sync(self, pid: int) -> list[_Count]:
        """Make a worker's map say what is counted. :return: what it did not count so far."""
        if not self._counts:
            return []
        known = await self._asked(pid, lambda: self._runtime.counted(pid))
        if known is None:
            return []
        missing = [count for count in self._counts.values() if known.get(count.backend) != count.token]
        # One that is in the map with another token would be in it twice. Each command may be repeated for that reason.
        commands = [
            command
            for count in missing
            for command in (
                f"del map {ring.COUNTED_MAP} {count.backend}",
                f"add map {ring.COUNTED_MAP} {count.backend} {count.token}",
            )
        ]
        if commands:
            await self._asked(pid, lambda: self._runtime.change_worker(pid, *commands))
        return missing

    async def _begin(self, count: _Count, pid: int) -> None:
        await self._sync(pid)
        totals = await self._asked(pid, lambda: self._runtime.totals(pid, count.backend))
        count.base[pid] = totals.begun if totals else 0

    async def _asked(self, pid: int, ask: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """An answer of a worker; None when it ends meanwhile. While the master starts or reloads it answers nothing.

        :raises ProxyError: it lives and does not answer.
        """
        deadline = Deadline(self._timing.haproxy_answer)
        while pid in self._workers:
            try:
                return await ask()
            except ProxyError:
                if deadline.expired:
                    raise
            await asyncio.sleep(self._timing.idle_poll_min)
        return None

    async def _read(self, events: ring.Events) -> None:
        async for line in events:
            request = ring.parse_line(line)
            count = self._tokens.get(request.token) if request else None
            if request and count:
                count.add(request, events.pid)
            elif ring.is_loss(line):
                self._lose(self._counts.values())
        self._workers.pop(events.pid, None)  # it may be gone already where this was started again
        if events.pid in self._ended:
            return
        # It died, or the connection to it broke: a new one is followed as soon as it serves.
        self._lose(self._counts.values())
        self._ended.add(events.pid)
        async with self._lock:
            with contextlib.suppress(ProxyError):
                await self._follow()

    async def _end(self, pid: int) -> None:
        """Let a worker of before a reload go once it has nothing more to do."""
        pause = self._timing.idle_poll_min
        while pid in self._workers:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, self._timing.idle_poll_max)
            with contextlib.suppress(ProxyError):
                if await self._runtime.finished(pid):
                    break
        for count in list(self._counts.values()):
            await self._read_up(count, [pid])
        # It may have died meanwhile, and then its lines have ended.
        if pid in self._workers:
            self._ended.add(pid)
            self._workers[pid].close()

    async def _read_up(self, count: _Count, pids: list[int] | None = None) -> None:
        """Return when every request that has ended is counted, or note that some are missing."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while True:
            missing = [await self._missing(count, pid) for pid in (pids or list(self._workers)) if pid in self._workers]
            # What is under way may end within a moment, and then belongs to the count.
            if not any(under_way for _sure, under_way in missing):
                return
            sure = any(sure for sure, _under_way in missing)
            elapsed = loop.time() - begin
            if not sure and elapsed > self._timing.count_under_way:
                return
            if elapsed > self._timing.count_late:
                count.exact = False
                return
            await asyncio.sleep(self._timing.idle_poll_min)

    async def _missing(self, count: _Count, pid: int) -> tuple[bool, bool]:
        """Of one worker: whether lines are missing for sure, and whether there are requests without a line at all."""
        try:
            totals = await self._runtime.totals(pid, count.backend)
        except ProxyError:
            # The master may be reloading. One that has ended is followed no more.
            alive = pid in self._workers
            return alive, alive
        without = totals.begun - count.base[pid] - count.lines[pid]
        return without > totals.under_way, without > 0

    def _map(self) -> dict[str, str]:
        return {count.backend: count.token for count in self._counts.values()}

    async def _write(self, tokens: dict[str, str]) -> None:
        # In a thread, as it waits for the disk.
        await asyncio.to_thread(self._haproxy.files.write_counted, tokens)

    @staticmethod
    def _lose(counts: Iterable[_Count]) -> None:
        for count in counts:
            count.exact = False

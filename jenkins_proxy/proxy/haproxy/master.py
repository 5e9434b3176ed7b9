"""HAProxy's master process and its workers: started, adopted from an earlier daemon, asked who serves, ended.

Management guide 2.6, section 4 "Stopping and restarting HAProxy": SIGUSR2 makes the master start a new worker, which
gets the listening sockets handed over, and SIGUSR1 lets a process finish what it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from jenkins_proxy.aio import cancel_all, with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy import child, output, program
from jenkins_proxy.proxy.haproxy.runtime_api import RuntimeAPI, Workers
from jenkins_proxy.proxy.timing import Timing

_WORKER_POLL = 0.005
_MASTER_POLL = 0.05
_OWN_ANSWERS = 20


class Master:
    """The master process, from one start to the next, and the workers that it has.

    :param runtime: its sockets.
    :ivar log: what it and its workers write.
    """

    def __init__(self, runtime: RuntimeAPI, timing: Timing) -> None:
        self.log = output.Log()
        self._runtime = runtime
        self._timing = timing
        self._child: child.Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._worker = 0

    async def start(self, argv: Sequence[str], *, cwd: Path, stdout: BinaryIO | None) -> None:
        """Start the process; :meth:`wait_started` says whether it serves.

        :param stdout: a file for what it writes there; None: it is lost.
        :raises FileNotFoundError: when the program is not there.
        """
        self._worker = 0
        self._child = await child.Child.started(argv, cwd=cwd, env=program.environment(), stdout=stdout)
        self._reader = asyncio.create_task(self.log.follow(self._child.stderr))

    @property
    def pid(self) -> int:
        """Its process ID; 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.returncode is None

    async def wait(self) -> int:
        """Wait for its end: how it ended, or minus the number of the signal that ended it."""
        return await self._process.wait()

    def reload(self) -> None:
        """Have it start a new worker. :raises ProcessLookupError: when it has ended."""
        self._process.send_signal(signal.SIGUSR2)

    async def end(self) -> None:
        """End it: requests in flight get a few seconds."""
        with contextlib.suppress(ProxyError):
            await self.workers()
        for signum in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signum)
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._process.wait(), self._timing.haproxy_stop)
                break
        if self._reader:
            # A worker that was left behind would hold the pipe open.
            self._reader.cancel()
        self._process.leave()

    async def leave(self) -> None:
        """Look after it no more; it goes on serving users."""
        if self._reader:
            await cancel_all([self._reader])
        self._process.leave()

    async def workers(self) -> Workers:
        """The master's account, once it gives one: a new worker serves before its master listens, to signals too.

        :raises ProxyError: when it gives none.
        """
        end = time.monotonic() + self._timing.haproxy_start
        while True:
            try:
                return await self._runtime.workers()
            except ProxyError:
                if not self.running or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.005)

    async def replaced(self) -> bool:
        """Whether another worker runs than the one that this object has started: somebody else has reloaded it.

        :raises ProxyError: when the master does not answer.
        """
        current = (await self.workers()).current
        self._worker = self._worker or current
        return current != self._worker

    async def open(self) -> bool:
        """Whether users can connect. :raises ProxyError: when HAProxy does not answer."""
        return await self._runtime.accepts((await self.workers()).current)

    async def wait_started(self, version: int, mark: int, failed: int) -> None:
        """Wait until the current worker runs this version, or a later one: a reload may overtake a start.

        :param mark: of the log, before the attempt.
        :param failed: reloads that had failed before the attempt.
        :raises ProxyError: when it will not.
        """
        limit = self._timing.haproxy_start
        end, ask_again = time.monotonic() + limit, 0.0
        while time.monotonic() < end:
            if not self.running:
                if self._reader:
                    await self._reader
                raise ProxyError(f"HAProxy ended at once: {self.log.reason(mark)}")
            if await self._runs(version):
                return
            # Each question costs time that the new worker could start in.
            if time.monotonic() > ask_again:
                if await self._failures() > failed:
                    raise ProxyError(self.log.reason(mark))
                ask_again = time.monotonic() + _MASTER_POLL
            await asyncio.sleep(_WORKER_POLL)
        raise ProxyError(f"no new worker after {limit:g} s: {self.log.reason(mark)}")

    async def wait_taken_over(self) -> None:
        """Wait until no worker of before takes connections: both listen until it gets to read its signal."""
        end = time.monotonic() + self._timing.haproxy_stop
        workers = await self.workers()
        self._worker = workers.current
        for pid in workers.old:
            # One that has ended does not answer, and one that hangs takes none either.
            with contextlib.suppress(ProxyError, KeyError):
                while time.monotonic() < end and await self._runtime.accepts(pid):  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.002)

    async def wait_alone(self) -> None:
        """Wait until no worker of an earlier daemon takes commands. Its master is not ours to ask, so the socket that
        it shares with ours has to give ours so many times one after the other."""
        end, own = time.monotonic() + self._timing.haproxy_stop, 0
        while own < _OWN_ANSWERS and time.monotonic() < end:
            with contextlib.suppress(ProxyError):
                worker, _ = await self._runtime.answering()
                own = own + 1 if self._is_own(worker) else 0
            await asyncio.sleep(_WORKER_POLL)

    async def _runs(self, version: int) -> bool:
        try:
            worker, description = await self._runtime.answering()
        except ProxyError:
            return False
        return output.version(f"description {description}") >= version and self._is_own(worker)

    def _is_own(self, worker: int) -> bool:
        return child.parent(worker) == self._process.pid

    async def _failures(self) -> int:
        try:
            return (await self._runtime.workers()).failed
        except ProxyError:
            return 0  # it reloads yet, or has ended, which the caller sees by itself

    @property
    def _process(self) -> child.Child:
        if self._child is None:
            raise ProxyError("HAProxy has not been started yet")
        return self._child

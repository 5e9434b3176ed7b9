"""One HAProxy in master-worker mode, kept running: checked configuration, hitless reload, restart when it dies.

Management guide 2.6, section 4 "Stopping and restarting HAProxy": SIGUSR2 makes the master start a new worker, which
gets the listening sockets handed over, and SIGUSR1 lets a process finish what it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from jenkins_proxy import processes
from jenkins_proxy.aio import cancel_all, with_timeout
from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.proxy.haproxy import child, output, program
from jenkins_proxy.proxy.haproxy.config_dir import CANDIDATE, PID, ConfigDir
from jenkins_proxy.proxy.haproxy.entry.log_file import LogFile
from jenkins_proxy.proxy.haproxy.render import CONFIG, Options, Rendered
from jenkins_proxy.proxy.haproxy.runtime_api import MASTER_SOCKET, STATS_SOCKET, RuntimeAPI, Workers
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)

_WORKER_POLL = 0.005
_MASTER_POLL = 0.05
_OWN_ANSWERS = 20


class HAProxy:
    """The supervised child.

    :param options: for rendering; kept here so that one object describes the proxy.
    :param run_dir: its folder: configuration, maps and sockets.
    :ivar on_death: called with the reason whenever it ended by itself, before it is started again.
    :ivar on_worker: awaited whenever a new worker serves, before the next one can come.
    :ivar serving: whether it runs its configuration.
    :ivar probe_key: that it was started with.
    :ivar replacing: held while a new worker takes over from the current one: whoever changes files and the worker
        together holds it, so that both are changed or neither.
    :ivar took_over: whether users were served already when it started, by what an earlier daemon had left.
    """

    def __init__(self, options: Options, run_dir: Path, timing: Timing = DEFAULT) -> None:
        self.options = options
        self.files = ConfigDir(run_dir)
        self.runtime = RuntimeAPI(run_dir, timing)
        self._timing = timing
        self.on_death: Callable[[str], None] = lambda _reason: None
        self.on_worker: Callable[[], Awaitable[None]] = _ignore
        self.serving = False
        self.replacing = asyncio.Lock()
        self.took_over = False
        self.probe_key = ""
        self._worker = 0
        self._program = ""
        self._log = output.Log()
        self._master: child.Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._log_file = LogFile(timing.access_log_poll)
        self._log_keeper: asyncio.Task[None] | None = None

    async def start(self, rendered: Rendered, version: int, probe_key: str) -> None:
        """Begin to serve.

        A HAProxy that an earlier daemon left behind in the same folder is replaced, and no request is lost.

        :param version: that ``rendered`` was made with.
        :raises UsageError: when HAProxy is missing or too old, refuses the configuration, or cannot bind.
        """
        self._program = await program.find()
        self.probe_key = probe_key
        try:
            self.files.prepare(probe_key)
            await self.check(rendered)
            self.files.commit(rendered)
        except ProxyError as error:
            # A full disk: what it holds already serves users, and the next round says what is wrong.
            version = output.version(self.files.read())
            if not version:
                raise UsageError(error.message, error.hint) from error
            _LOG.warning("%s: HAProxy starts with the configuration of before", error.message)
        try:
            await self._launch(version)
        except ProxyError as error:
            raise UsageError(error.message, error.hint) from error
        with contextlib.suppress(ProxyError):
            self.files.mark_good(rendered)
        self._keeper = asyncio.create_task(self._keep_running())
        if self._logs_to_file:
            self._log_keeper = asyncio.create_task(self._log_file.run())

    async def stop(self) -> None:
        """End it: requests in flight get a few seconds."""
        await self._cancel_keepers()
        if self._master:
            await self._end()
            (self.files.folder / PID).unlink(missing_ok=True)

    async def leave(self) -> int:
        """Look after it no more: it goes on serving users, and the next start in the same folder takes it over.

        :return: the process ID of its master; 0 when none runs.
        """
        await self._cancel_keepers()
        if not self._master or not self._running:
            return 0
        if self._reader:
            await cancel_all([self._reader])
        self._master.leave()
        return self._master.pid

    async def _cancel_keepers(self) -> None:
        await cancel_all([keeper for keeper in (self._keeper, self._log_keeper) if keeper])
        self._log_file.look()
        self._log_file.close()

    async def check(self, rendered: Rendered) -> None:
        """Let HAProxy read the configuration without running it.

        :raises UsageError: with HAProxy's own reason, when it refuses. ProxyError: when the files cannot be written.
        """
        self.files.stage(rendered)
        argv = (self._program, "-c", "-f", CANDIDATE)
        code, said = await processes.answer(argv, cwd=self.files.folder, env=program.environment())
        if code:
            reason = output.reason(said.splitlines())
            raise UsageError(f"HAProxy refuses the configuration: {reason}")

    async def reload(self, rendered: Rendered, version: int) -> None:
        """Check a configuration and change to it; returns when every new connection meets it.

        :raises UsageError: when HAProxy refuses it. ProxyError: when the files cannot be written, or the new worker
            cannot start; the old one keeps serving.
        """
        async with self.replacing:
            await self._replace(rendered, version)

    async def _replace(self, rendered: Rendered, version: int) -> None:
        await self.check(rendered)
        self.files.commit(rendered)
        try:
            failed = (await self._workers()).failed
            mark = self._log.mark()
            self._process.send_signal(signal.SIGUSR2)
            await self._wait_started(version, mark, failed)
            await self._wait_taken_over()
        except (ProxyError, ProcessLookupError) as error:
            self.files.revert()
            raise ProxyError(
                f"HAProxy did not take the new configuration: {error}", "the old one keeps serving"
            ) from error
        self.files.mark_good(rendered)
        await self.on_worker()

    def write(self, rendered: Rendered) -> None:
        """Make the files equal what runs, after changes by the Runtime API. Blocks for the disk.

        :raises ProxyError: when they cannot be written.
        """
        self.files.stage(rendered)
        self.files.commit(rendered)
        self.files.mark_good(rendered)

    async def idle(self, backend: str, servers: Collection[str]) -> bool:
        """Whether no request is in flight to these servers, nor can still come.

        They are drained or gone in the current worker already. A worker of before a reload finishes what it began, and
        each client that is idle there may send one request more, to the servers of then.

        :param servers: as ``<backend>/<server>``.
        :raises ProxyError: when HAProxy does not answer.
        """
        load = await self.runtime.load(backend)
        if any(load.get(name) for name in servers):
            return False
        for pid in (await self._workers()).old:
            try:
                left = await self.runtime.leftover(pid, backend)
            except (ProxyError, ValueError):
                # It has ended in between, unless the master still knows it.
                if pid in (await self._workers()).old:
                    return False
                continue
            if any(left.servers[name] or not left.quiet for name in servers if name in left.servers):
                return False
        return True

    async def only_streams(self, backend: str, servers: Collection[str]) -> bool:
        """Whether nothing but streams is in flight to these servers, nor can come: see :mod:`.sessions`. Parameters
        and errors as of :meth:`idle`."""
        workers = await self._workers()
        load = await self.runtime.load(backend)
        left = sum(load.get(name, 0) for name in servers)
        for pid in workers.old:
            with contextlib.suppress(ProxyError, ValueError):
                old = await self.runtime.leftover(pid, backend)
                if not old.quiet:
                    return False
                left += sum(old.servers.get(name, 0) for name in servers)
        for pid in (workers.current, *workers.old):
            with contextlib.suppress(ProxyError):
                left -= await self.runtime.count_streams(pid, servers)
        return left <= 0

    async def replaced(self) -> bool:
        """Whether another worker runs than the one that this object has started: somebody else has reloaded it.

        :raises ProxyError: when the master does not answer.
        """
        current = (await self._workers()).current
        self._worker = self._worker or current
        return current != self._worker

    async def open(self) -> bool:
        """Whether users can connect. :raises ProxyError: when HAProxy does not answer."""
        return await self.runtime.accepts((await self._workers()).current)

    async def cut_streams(self, servers: Collection[str]) -> int:
        """End the streams that are under way to these servers, in the workers of before a reload too.

        :param servers: as ``<backend>/<server>``.
        :return: how many.
        :raises ProxyError: when the master does not answer.
        """
        workers = await self._workers()
        cut = 0
        for pid in (workers.current, *workers.old):
            # One that does not answer has ended in between, or is asked again by the next call.
            with contextlib.suppress(ProxyError):
                cut += await self.runtime.cut_streams(pid, servers)
        return cut

    async def _launch(self, version: int) -> None:
        argv = [self._program, "-W", "-S", f"unix@{MASTER_SOCKET},mode,600", "-f", CONFIG]
        left_behind = child.left_behind(self.files.folder, PID)
        if left_behind:
            argv += ["-x", STATS_SOCKET, "-sf", str(left_behind)]
            self.took_over = True
        mark, self._worker = self._log.mark(), 0
        with output.access_log(self.options.entry.access_log) as stdout:
            self._master = await child.Child.started(
                argv, cwd=self.files.folder, env=program.environment(), stdout=stdout
            )
            self._log_file.take(stdout if self._logs_to_file else None)
        try:
            (self.files.folder / PID).write_text(str(self._master.pid))
        except OSError as error:
            _LOG.warning("a daemon to come will not know HAProxy, process %d: %s", self._master.pid, error.strerror)
        self._reader = asyncio.create_task(self._log.follow(self._master.stderr))
        try:
            await self._wait_started(version, mark, 0)
            if left_behind:
                await self._wait_alone()
        except BaseException:
            await self._end()
            raise
        self.serving = True
        await self.on_worker()

    async def _wait_started(self, version: int, mark: int, failed: int) -> None:
        """Wait until the current worker runs this version, or a later one: a reload may overtake a start.

        :param mark: of the log, before the attempt.
        :param failed: reloads that had failed before the attempt.
        :raises ProxyError: when it will not.
        """
        limit = self._timing.haproxy_start
        end, ask_again = time.monotonic() + limit, 0.0
        while time.monotonic() < end:
            if not self._running:
                if self._reader:
                    await self._reader
                raise ProxyError(f"HAProxy ended at once: {self._log.reason(mark)}")
            if await self._runs(version):
                return
            # Each question costs time that the new worker could start in.
            if time.monotonic() > ask_again:
                if await self._failures() > failed:
                    raise ProxyError(self._log.reason(mark))
                ask_again = time.monotonic() + _MASTER_POLL
            await asyncio.sleep(_WORKER_POLL)
        raise ProxyError(f"no new worker after {limit:g} s: {self._log.reason(mark)}")

    async def _wait_taken_over(self) -> None:
        """Wait until no worker of before takes connections: both listen until it gets to read its signal."""
        end = time.monotonic() + self._timing.haproxy_stop
        workers = await self._workers()
        self._worker = workers.current
        for pid in workers.old:
            # One that has ended does not answer, and one that hangs takes none either.
            with contextlib.suppress(ProxyError, KeyError):
                while time.monotonic() < end and await self.runtime.accepts(pid):  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.002)

    async def _runs(self, version: int) -> bool:
        try:
            worker, description = await self.runtime.answering()
        except ProxyError:
            return False
        return output.version(f"description {description}") >= version and self._is_own(worker)

    def _is_own(self, worker: int) -> bool:
        return child.parent(worker) == self._process.pid

    async def _wait_alone(self) -> None:
        """Wait until no worker of an earlier daemon takes commands. Its master is not ours to ask, so the socket that
        it shares with ours has to give ours so many times one after the other."""
        end, own = time.monotonic() + self._timing.haproxy_stop, 0
        while own < _OWN_ANSWERS and time.monotonic() < end:
            with contextlib.suppress(ProxyError):
                worker, _ = await self.runtime.answering()
                own = own + 1 if self._is_own(worker) else 0
            await asyncio.sleep(_WORKER_POLL)

    async def _workers(self) -> Workers:
        """The master's account, once it gives one: a new worker serves before its master listens, to signals too.

        :raises ProxyError: when it gives none.
        """
        end = time.monotonic() + self._timing.haproxy_start
        while True:
            try:
                return await self.runtime.workers()
            except ProxyError:
                if not self._running or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.005)

    async def _failures(self) -> int:
        try:
            return (await self.runtime.workers()).failed
        except ProxyError:
            return 0  # it reloads yet, or has ended, which the caller sees by itself

    async def _keep_running(self) -> None:
        backoff = 0.0
        while True:
            mark = self._log.mark()
            begin = time.monotonic()
            code = await self._process.wait()
            self.serving = False
            if time.monotonic() - begin > self._timing.haproxy_start:
                backoff = 0.0
            self.on_death(f"HAProxy ended with code {code}: {self._log.reason(mark)}")
            backoff = await self._start_again(backoff)

    async def _start_again(self, backoff: float) -> float:
        """Start until it runs. :return: the pause to make should it die at once."""
        while True:
            await asyncio.sleep(backoff)
            backoff = min(max(0.1, backoff * 2), self._timing.haproxy_restart_max)
            try:
                await self._launch(output.version(self.files.read()))
                return backoff
            except (ProxyError, OSError) as error:
                self.on_death(f"HAProxy could not be started again: {error}")
                self.files.revert()

    @property
    def _logs_to_file(self) -> bool:
        log = self.options.entry.access_log
        return bool(log and log.file)

    @property
    def _process(self) -> child.Child:
        if self._master is None:
            raise ProxyError("HAProxy has not been started yet")
        return self._master

    @property
    def _running(self) -> bool:
        return self._master is not None and self._master.returncode is None

    async def _end(self) -> None:
        self.serving = False
        with contextlib.suppress(ProxyError):
            await self._workers()
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


async def _ignore() -> None:
    pass

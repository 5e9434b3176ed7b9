"""One HAProxy in master-worker mode, kept running: checked configuration, hitless reload, restart when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from jenkins_proxy import processes
from jenkins_proxy.aio import cancel_all
from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.proxy.haproxy import child, output, program
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import CONFIG, Rendered
from jenkins_proxy.proxy.haproxy.config_dir import CANDIDATE, PID, ConfigDir
from jenkins_proxy.proxy.haproxy.in_flight import InFlight
from jenkins_proxy.proxy.haproxy.log_file import LogFile
from jenkins_proxy.proxy.haproxy.master import Master
from jenkins_proxy.proxy.haproxy.runtime_api import MASTER_SOCKET, STATS_SOCKET, RuntimeAPI
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)


class HAProxy:
    """The supervised child.

    :param options: for rendering; kept here so that one object describes the proxy.
    :param run_dir: its folder: configuration, maps and sockets.
    :ivar runtime: its sockets.
    :ivar master: its processes.
    :ivar in_flight: the requests that they have.
    :ivar on_death: called with the reason whenever it ended by itself, before it is started again.
    :ivar before_restart: awaited then, too: its files may be behind what it ran.
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
        self.master = Master(self.runtime, timing)
        self.in_flight = InFlight(self.runtime, self.master)
        self._timing = timing
        self.on_death: Callable[[str], None] = lambda _reason: None
        self.before_restart: Callable[[], Awaitable[None]] = _ignore
        self.on_worker: Callable[[], Awaitable[None]] = _ignore
        self.serving = False
        self.replacing = asyncio.Lock()
        self.took_over = False
        self.probe_key = ""
        self._program = ""
        self._keeper: asyncio.Task[None] | None = None
        log_file = output.log_file(options.entry.access_log)
        self._log_file = LogFile(log_file, timing.access_log_retry) if log_file else None

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
            await self._close_log_file()
            raise UsageError(error.message, error.hint) from error
        with contextlib.suppress(ProxyError):
            self.files.mark_good(rendered)
        self._keeper = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End it: requests in flight get a few seconds."""
        await self._cancel_keeper()
        self.serving = False
        if self.master.pid:
            await self.master.end()
            (self.files.folder / PID).unlink(missing_ok=True)
        await self._close_log_file()

    async def leave(self) -> int:
        """Look after it no more: it goes on serving users, and the next start in the same folder takes it over.

        :return: the process ID of its master; 0 when none runs.
        """
        await self._cancel_keeper()
        if self._log_file:
            await self._log_file.leave()
        if not self.master.running:
            return 0
        await self.master.leave()
        return self.master.pid

    async def _close_log_file(self) -> None:
        if self._log_file:
            await self._log_file.close(self._timing.haproxy_stop)

    async def _cancel_keeper(self) -> None:
        await cancel_all([self._keeper] if self._keeper else [])

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
            failed = (await self.master.workers()).failed
            mark = self.master.log.mark()
            self.master.reload()
            await self.master.wait_started(version, mark, failed)
            await self.master.wait_taken_over()
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

    async def _launch(self, version: int) -> None:
        argv = [self._program, "-W", "-S", f"unix@{MASTER_SOCKET},mode,600", "-f", CONFIG]
        left_behind = child.left_behind(self.files.folder, PID)
        if left_behind:
            argv += ["-x", STATS_SOCKET, "-sf", str(left_behind)]
            self.took_over = True
        mark = self.master.log.mark()
        async with self._stdout() as stdout:
            await self.master.start(argv, cwd=self.files.folder, stdout=stdout)
        try:
            (self.files.folder / PID).write_text(str(self.master.pid))
        except OSError as error:
            _LOG.warning("a daemon to come will not know HAProxy, process %d: %s", self.master.pid, error.strerror)
        try:
            await self.master.wait_started(version, mark, 0)
            if left_behind:
                await self.master.wait_alone()
        except BaseException:
            await self.master.end()
            raise
        self.serving = True
        await self.on_worker()

    async def _keep_running(self) -> None:
        backoff = 0.0
        while True:
            mark = self.master.log.mark()
            begin = time.monotonic()
            code = await self.master.wait()
            self.serving = False
            if time.monotonic() - begin > self._timing.haproxy_start:
                backoff = 0.0
            try:
                await self.before_restart()
            except Exception:  # it is started again, whatever became of its files
                _LOG.exception("HAProxy's files could not be brought to what it ran")
            self.on_death(f"HAProxy ended with code {code}: {self.master.log.reason(mark)}")
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

    @contextlib.asynccontextmanager
    async def _stdout(self) -> AsyncIterator[BinaryIO | None]:
        """What a HAProxy that starts gets as its own.

        :raises ProxyError: when the access log cannot be written.
        """
        if self._log_file:
            yield await self._log_file.open()
            return
        with output.stdout(self.options.entry.access_log) as stdout:
            yield stdout


async def _ignore() -> None:
    pass

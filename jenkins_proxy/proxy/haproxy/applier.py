"""Brings HAProxy from what it runs to what it should run, and keeps the account of what it runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy import diff
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.config.render import Rendered, Renderer, render
from jenkins_proxy.proxy.haproxy.diff import Change, ServerChange
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.retry import Deadline
from jenkins_proxy.validation import few

_WRITING_SHARE = 0.1
_REGISTERED = "New server registered."

AllBackends = Callable[[], Mapping[str, Backend]]


@dataclass(frozen=True)
class Applied:
    """What was done.

    :ivar reloaded: whether by a reload; then ``seconds`` is what it took.
    :ivar changes: by the Runtime API.
    :ivar refused: why HAProxy refused a route, by service; what ran before for it runs on.
    """

    reloaded: bool = False
    seconds: float = 0.0
    changes: tuple[Change, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class Applier:
    """The one who changes HAProxy. Its calls exclude each other.

    :ivar version: of the configuration that was tried last.
    :ivar problem: why work in the background failed that is tried again; empty when it did not.
    """

    def __init__(self, haproxy: HAProxy, timing: Timing = DEFAULT) -> None:
        self._haproxy = haproxy
        self._timing = timing
        self.problem = ""
        self._lock = asyncio.Lock()
        self._files = asyncio.Lock()
        self._renderer = Renderer(haproxy.options)
        self._running: dict[str, Backend] = {}
        self._written: Mapping[str, Backend] = {}
        self._stale = asyncio.Event()
        self._draining = asyncio.Event()
        self.version = 0

    @property
    def running(self) -> Mapping[str, Backend]:
        """What HAProxy runs, by service."""
        return self._running

    async def start(self, desired: Mapping[str, Backend], version: int, probe_key: str) -> Applied:
        """Start HAProxy. Routes that it refuses are left out.

        :raises UsageError: when it cannot start with what is left either.
        """
        self.version = version
        refused: dict[str, str] = {}
        try:
            await self._haproxy.start(self._render_all(desired), version, probe_key)
        except UsageError:
            desired, refused = await self._without_refused(desired)
            if not refused:
                raise
            await self._haproxy.start(self._render_all(desired), version, probe_key)
        self._running = dict(desired)
        self._written = dict(desired)
        return Applied(reloaded=True, refused=refused)

    async def apply(
        self, desired: Mapping[str, Backend], services: Iterable[str], everything: AllBackends, *, force: bool = False
    ) -> Applied:
        """Make HAProxy run what is desired.

        :param desired: the backends of those of the ``services`` that shall serve.
        :param services: those that may differ from what runs.
        :param everything: gives what is desired of all services; asked when there is a reload.
        :param force: reload, whatever the difference.
        :raises ProxyError: when HAProxy does not take it; what ran before runs on, with the servers that it should.
        """
        async with self._lock:
            running = {name: self._running[name] for name in services if name in self._running}
            todo = diff.plan(running, desired)
            # Where HAProxy is not as it should be, for example changed by hand, a reload mends it too.
            if not (todo.reload or force) and await self._change(todo.changes):
                return Applied(changes=todo.changes)
            try:
                async with self._files:
                    return await self._reload(everything())
            except ProxyError:
                # A full disk, say: what needs no file does not wait for it.
                with contextlib.suppress(ProxyError):
                    await self._change(todo.changes)
                raise

    @property
    def maps(self) -> Mapping[str, str]:
        """The map files that HAProxy has read and that no Runtime API changes: their texts by name."""
        return self._renderer.maps

    async def inspect(self, look: Callable[[Mapping[str, Backend]], Awaitable[list[str]]]) -> list[str]:
        """Call ``look`` with what HAProxy runs, while nobody here changes it. :return: its result."""
        async with self._lock:
            return await look(self._running)

    async def edited_files(self) -> list[str]:
        """The files that somebody else has changed since they were written here, by name."""
        async with self._files:
            return await asyncio.to_thread(self._haproxy.files.edited)

    async def check(self, backend: Backend) -> None:
        """Let HAProxy read one route. :raises UsageError: with its reason, when it refuses."""
        async with self._files:
            await self._haproxy.check(self._render({backend.route.service: backend}))

    def text(self, backends: Mapping[str, Backend] | None = None) -> str:
        """The configuration as it is, or as it would be with these."""
        return self._render(self._running if backends is None else backends).config

    async def wait_idle(
        self, service: str, addresses: Sequence[Address], deadline: Deadline, streams: Deadline | None = None
    ) -> int:
        """Return when no request is in flight to these servers, nor can still come.

        :param streams: when it passes, streams are waited for no longer, but cut; None: they are as other requests.
        :return: how many streams were cut.
        :raises ProxyError: when the deadline passes.
        """
        backend = backend_name(service)
        names = [f"{backend}/{server_name(address)}" for address in addresses]
        pause = self._timing.idle_poll_min
        cut = 0
        while not await self._haproxy.in_flight.idle(backend, names):
            just_cut = await self._haproxy.in_flight.cut_streams(names) if streams and streams.expired else 0
            cut += just_cut
            if just_cut:
                pause = self._timing.idle_poll_min
            elif deadline.expired:
                raise ProxyError(
                    f"requests are still in flight on {few(addresses)} of {service} after {deadline.seconds:g} s",
                    "they get no new ones; drain again to wait longer",
                )
            # The next look is not after the end of a time, but right at it.
            ends = [limit.remaining for limit in (deadline, streams) if limit and not limit.expired]
            await asyncio.sleep(min(pause, *ends))
            pause = min(pause * 1.5, self._timing.idle_poll_max)
        return cut

    async def run_reaper(self) -> None:
        """Remove drained servers once they are idle, until cancelled."""
        pause = self._timing.idle_poll_min
        while True:
            if not any(map(_draining, self._running.values())):
                await self._draining.wait()
            if self._draining.is_set():
                self._draining.clear()
                pause = self._timing.idle_poll_min
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._timing.idle_poll_max)
            # While HAProxy is started again it removes nothing; the next time will do.
            with contextlib.suppress(ProxyError):
                async with self._lock:
                    await self._reap()

    async def run_writer(self) -> None:
        """Keep the files equal to what runs, until cancelled. It takes a tenth of the time when changes never end."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            begin = time.monotonic()
            try:
                await self.flush()
                self.problem = ""
            except (ProxyError, UsageError) as error:
                self.problem = error.message
                self._stale.set()
                await asyncio.sleep(self._timing.idle_poll_max)
            await asyncio.sleep((time.monotonic() - begin) / _WRITING_SHARE)

    async def flush(self) -> None:
        """Make the files equal to what runs now.

        :raises ProxyError: when they cannot be written.
        """
        async with self._files:
            # In a thread, and beside changes of servers: ten thousand of them take a tenth of a second.
            await asyncio.to_thread(self._write, dict(self._running))

    async def before_restart(self) -> None:
        """HAProxy has ended, and starts again from its files: they get what it ran.

        Where they cannot be written, it will run what they have, and that is what runs.
        """
        async with self._files:
            if not self._stale.is_set():
                return
            try:
                await asyncio.to_thread(self._write, dict(self._running))
            except ProxyError:
                self._running = {name: backend.lasting for name, backend in self._written.items()}

    async def _reload(self, desired: Mapping[str, Backend]) -> Applied:
        begin = time.monotonic()
        refused: dict[str, str] = {}
        try:
            await self._renew(desired)
        except UsageError as error:
            desired, refused = await self._without_refused(desired)
            if not refused:
                raise ProxyError(error.message, error.hint) from error
            await self._renew(desired)
        # What was draining stays with the worker of before.
        self._running = dict(desired)
        self._written = dict(desired)
        return Applied(reloaded=True, seconds=time.monotonic() - begin, refused=refused)

    async def _renew(self, desired: Mapping[str, Backend]) -> None:
        # A number is used once, also when the attempt fails: it distinguishes a new worker from its predecessor.
        self.version += 1
        try:
            await self._haproxy.reload(self._render_all(desired), self.version)
        except ProxyError:
            # Of what was tried, the files may have a part.
            self._stale.set()
            raise

    async def _without_refused(self, desired: Mapping[str, Backend]) -> tuple[dict[str, Backend], dict[str, str]]:
        """Ask HAProxy about each backend that it does not run yet, alone, and leave out those that it refuses."""
        good = dict(desired)
        refused = {}
        for name, backend in desired.items():
            running = self._running.get(name)
            if running and running.lasting == backend:
                continue
            try:
                await self._haproxy.check(self._render({name: backend}))
            except UsageError as error:
                refused[name] = error.message
                del good[name]
                if running:
                    good[name] = running.lasting
        return good, refused

    async def _change(self, changes: tuple[Change, ...]) -> bool:
        """Make changes by the Runtime API. :return: whether HAProxy made them all."""
        if not changes:
            return True
        commands = [command for change in changes for command in change.commands]
        answers = iter(await self._haproxy.runtime.ask(*commands) if commands else ())
        # What HAProxy refused must not reach the files: it could not start from them again.
        done = [change for change in changes if {next(answers) for _ in change.commands} <= {"", _REGISTERED}]
        for change in done:
            self._record(change)
        self._stale.set()
        if any(_draining(self._running[change.service]) for change in done):
            self._draining.set()
        return len(done) == len(changes)

    async def _reap(self) -> None:
        for service, backend in list(self._running.items()):
            if not _draining(backend):
                continue
            name = backend_name(service)
            load = await self._haproxy.runtime.load(name)
            for address in backend.addresses(ServerState.DRAINING):
                if not load.get(f"{name}/{server_name(address)}"):
                    await self._remove(ServerChange(backend.route, address, ServerState.DRAINING, None))

    async def _remove(self, change: ServerChange) -> None:
        answers = await self._haproxy.runtime.ask(*change.commands)
        # It may still have an idle connection: then it is tried again.
        if answers[-1] in ("Server deleted.", "No such server."):
            self._record(change)

    def _record(self, change: Change) -> None:
        """HAProxy has made a change."""
        self._running[change.service] = change.apply(self._running[change.service])

    def _write(self, backends: Mapping[str, Backend]) -> None:
        self._haproxy.write(self._render_all(backends))
        self._written = backends

    def _render_all(self, backends: Mapping[str, Backend]) -> Rendered:
        return self._renderer.render(backends.values(), self.version)

    def _render(self, backends: Mapping[str, Backend]) -> Rendered:
        return render(backends.values(), self._haproxy.options, self.version)


def _draining(backend: Backend) -> bool:
    return ServerState.DRAINING in backend.servers.values()

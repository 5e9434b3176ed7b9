"""Brings HAProxy from what it runs to what it should run, and keeps the account of what it runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy import diff
from jenkins_proxy.proxy.haproxy.diff import Running, ServerChange
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.haproxy.render import Backend, Rendered, Renderer, render, server_name
from jenkins_proxy.proxy.haproxy.route_table import backend_name
from jenkins_proxy.retry import Deadline

_SOONEST = 0.02
_LATEST = 1.0
_WRITING_SHARE = 0.1

Everything = Callable[[], Mapping[str, Backend]]


@dataclass(frozen=True)
class Applied:
    """What was done.

    :ivar reloaded: whether by a reload; then ``seconds`` is what it took.
    :ivar changes: of servers, by the Runtime API.
    :ivar refused: why HAProxy refused a route, by service; what ran before for it runs on.
    """

    reloaded: bool = False
    seconds: float = 0.0
    changes: tuple[ServerChange, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class Applier:
    """The one who changes HAProxy. Its calls exclude each other.

    :ivar version: of the configuration that was tried last.
    :ivar problem: why work in the background failed that is tried again; empty when it did not.
    """

    def __init__(self, haproxy: HAProxy) -> None:
        self._haproxy = haproxy
        self.problem = ""
        self._lock = asyncio.Lock()
        self._files = asyncio.Lock()
        self._renderer = Renderer(haproxy.options)
        self._running: dict[str, Running] = {}
        # The same as backends: what the files should say.
        self._backends: dict[str, Backend] = {}
        self._stale = asyncio.Event()
        self._leaving = asyncio.Event()
        self.version = 0

    @property
    def running(self) -> Mapping[str, Running]:
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
        self._runs(desired)
        return Applied(reloaded=True, refused=refused)

    async def apply(
        self, wanted: Mapping[str, Backend], services: Iterable[str], everything: Everything, *, force: bool = False
    ) -> Applied:
        """Make HAProxy run what is desired.

        :param services: those that may differ from what runs; ``wanted`` holds the ones of them that shall serve.
        :param everything: gives what is desired of all services; asked when there is a reload.
        :param force: reload, whatever the difference.
        :raises ProxyError: when HAProxy does not take it; what ran before runs on.
        """
        async with self._lock:
            runs = {name: self._running[name] for name in services if name in self._running}
            todo = diff.plan(runs, wanted)
            # Where HAProxy is not as it should be, for example changed by hand, a reload settles it too.
            if todo.reload or force or not await self._change(todo.changes):
                async with self._files:
                    return await self._reload(everything())
            return Applied(changes=todo.changes)

    async def check(self, backend: Backend) -> None:
        """Let HAProxy read one route. :raises UsageError: with its reason, when it refuses."""
        async with self._files:
            await self._haproxy.check(self._render({backend.route.service: backend}))

    def text(self, backends: Mapping[str, Backend] | None = None) -> str:
        """The configuration as it is, or as it would be with these."""
        return self._render(self._backends if backends is None else backends).config

    async def wait_idle(self, service: str, addresses: Sequence[Address], deadline: Deadline) -> None:
        """Return when no request is in flight to these servers, nor can still come.

        :raises ProxyError: when the deadline passes.
        """
        backend = backend_name(service)
        names = [f"{backend}/{server_name(address)}" for address in addresses]
        pause = _SOONEST
        while not await self._haproxy.idle(backend, names):
            if deadline.expired:
                raise ProxyError(
                    f"requests are still in flight on {', '.join(map(str, addresses))} of {service} "
                    f"after {deadline.seconds:g} s",
                    "they get no new ones; drain again to wait longer",
                )
            await asyncio.sleep(min(pause, deadline.remaining))
            pause = min(pause * 1.5, _LATEST)

    async def reap(self) -> None:
        """Remove drained servers once they are idle, for ever."""
        pause = _SOONEST
        while True:
            if not any(one.leaving for one in self._running.values()):
                await self._leaving.wait()
            if self._leaving.is_set():
                self._leaving.clear()
                pause = _SOONEST
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LATEST)
            # HAProxy may be starting again; whoever it cannot be removed from now is removed later.
            with contextlib.suppress(ProxyError):
                async with self._lock:
                    await self._reap()

    async def write(self) -> None:
        """Keep the files equal to what runs, for ever. A tenth of the time at the most, when changes never end."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            begin = time.monotonic()
            try:
                async with self._files:
                    # In a thread, and beside changes of servers: ten thousand of them take a tenth of a second.
                    await asyncio.to_thread(self._write, dict(self._backends))
                self.problem = ""
            except (ProxyError, UsageError) as error:
                self.problem = error.message
                self._stale.set()
                await asyncio.sleep(_LATEST)
            await asyncio.sleep((time.monotonic() - begin) / _WRITING_SHARE)

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
        self._runs(desired)
        return Applied(reloaded=True, seconds=time.monotonic() - begin, refused=refused)

    async def _renew(self, desired: Mapping[str, Backend]) -> None:
        # A number is used once, also when the attempt fails: it tells a new worker from the one before.
        self.version += 1
        await self._haproxy.reload(self._render_all(desired), self.version)

    async def _without_refused(self, desired: Mapping[str, Backend]) -> tuple[dict[str, Backend], dict[str, str]]:
        """Ask HAProxy about each backend that it does not run yet, alone, and leave out those that it refuses."""
        good = dict(desired)
        refused = {}
        for name, backend in desired.items():
            runs = self._backends.get(name)
            if runs == backend:
                continue
            try:
                await self._haproxy.check(self._render({name: backend}))
            except UsageError as error:
                refused[name] = error.message
                del good[name]
                if runs:
                    good[name] = runs
        return good, refused

    async def _change(self, changes: tuple[ServerChange, ...]) -> bool:
        """Change servers. :return: whether HAProxy did it all."""
        if not changes:
            return True
        commands = [command for change in changes for command in change.commands]
        answers = iter(await self._haproxy.runtime.ask(*commands))
        # What HAProxy refused must not reach the files: it could not start from them again.
        done = [
            change for change in changes if {next(answers) for _ in change.commands} <= {"", "New server registered."}
        ]
        for change in done:
            self._note(change)
        self._stale.set()
        if any(change.verb == diff.DRAIN for change in done):
            self._leaving.set()
        return len(done) == len(changes)

    async def _reap(self) -> None:
        for service, one in list(self._running.items()):
            if not one.leaving:
                continue
            backend = backend_name(service)
            load = await self._haproxy.runtime.load(backend)
            for address in one.leaving:
                if not load.get(f"{backend}/{server_name(address)}"):
                    await self._remove(ServerChange(diff.REMOVE, one.route, address))

    async def _remove(self, change: ServerChange) -> None:
        answers = await self._haproxy.runtime.ask(*change.commands)
        # It may still have an idle connection: then it is tried again.
        if answers[-1] in ("Server deleted.", "No such server."):
            self._note(change)

    def _runs(self, desired: Mapping[str, Backend]) -> None:
        """HAProxy was started or reloaded with this."""
        self._running = diff.fresh(desired)
        self._backends = dict(desired)

    def _note(self, change: ServerChange) -> None:
        service = change.route.service
        running = diff.applied(self._running[service], change)
        self._running[service] = running
        self._backends[service] = Backend(running.route, tuple(sorted(running.serving)))

    def _write(self, backends: Mapping[str, Backend]) -> None:
        self._haproxy.write(self._render_all(backends))

    def _render_all(self, backends: Mapping[str, Backend]) -> Rendered:
        return self._renderer.render(backends.values(), self.version)

    def _render(self, backends: Mapping[str, Backend]) -> Rendered:
        return render(backends.values(), self._haproxy.options, self.version)

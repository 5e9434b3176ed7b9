"""One deploy of a service at a time: a key in the registry that a session holds and that dies with its holder."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jenkins_proxy import retry
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import RegistryError

PREFIX = "jenkins-proxy/locks/"
_ENDED = ("Z", "X")


class LockLost(RegistryError):
    """The registry forgot our session, and another deploy has the lock by now."""


class _HeldByOther(Exception):
    """Another deploy has the lock."""

    def __init__(self, holder: Mapping[str, Any]) -> None:
        super().__init__(describe(holder))


class Lock:
    """A held lock. A thread keeps its session alive with a client of its own.

    The end of a session releases the key and leaves it there, so that the registry goes on counting who locks it: a
    lock whose session was lost (the process was paused, the registry was away) is taken again only if nobody had it
    meanwhile. What another deploy has changed, this one does not know.
    """

    def __init__(self, registry: Consul, service: str, environ: Mapping[str, str], timing: Timing) -> None:
        self._registry = registry
        self._timing = timing
        self._service = service
        self._key = PREFIX + service
        self._holder = json.dumps(_ourselves(environ)).encode()
        self._session = ""
        self._taken = (0, 0)
        self._ended = threading.Event()
        self._lost = False
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def acquire(self) -> None:
        """Take the lock, from its dead holder too where that is known. Raises ``_HeldByOther``."""
        # While another deploy is waited for, no thread renews the session yet.
        if not self._session or not self._registry.session_renew(self._session):
            self._session = self._new_session()
        if not self._try():
            held = self._registry.kv_get(self._key)
            holder = _parse(held.value) if held else {}
            if not held or not _is_dead(holder):
                raise _HeldByOther(holder)
            self._registry.session_destroy(held.session)
            if not self._try():
                raise _HeldByOther(holder)
        self._taken = self._count()
        self._thread.start()

    def ensure_held(self) -> None:
        """Check that nobody else deploys, or has since we began, before something that must not be done twice.

        :raises LockLost: when the session was lost and another deploy took the lock meanwhile.
        """
        self._renew()
        if self._lost:
            held = self._registry.kv_get(self._key)
            holder = _parse(held.value) if held and held.session != self._session else {}
            raise LockLost(
                f"the lock of {self._service} was lost: "
                + (describe(holder) if holder else "another deploy had it meanwhile"),
                "the registry ended our session: was this process paused, or the registry restarted?",
            )

    def release(self) -> None:
        """Give the lock up; a registry that is away forgets it by itself."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(RegistryError):
            if not self._session:
                return
            held = self._registry.kv_get(self._key)
            if held and held.session == self._session:
                self._registry.kv_delete(self._key, cas=held.modify_index)
            self._registry.session_destroy(self._session)

    def _new_session(self) -> str:
        name = f"jenkins-proxy deploy {self._service}"
        return self._registry.session_create(name, self._timing.lock_ttl, behavior="release")

    def _try(self) -> bool:
        return self._registry.kv_put(self._key, self._holder, acquire=self._session)

    def _count(self) -> tuple[int, int]:
        """Which key this is, and how many times it was locked."""
        held = self._registry.kv_get(self._key)
        return (held.create_index, held.lock_index) if held else (0, 0)

    def _renew(self) -> None:
        """Keep the session alive; where the registry has ended it, take the lock again."""
        # While the registry is away no other deploy gets the lock either.
        with self._mutex, contextlib.suppress(RegistryError):
            if self._lost or self._registry.session_renew(self._session):
                return
            self._session = self._new_session()
            key, times = self._taken
            self._lost = not self._try() or self._count() != (key, times + 1)
            self._taken = (key, times + 1)

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._timing.lock_renew):
            self._renew()


def of_service(context: Context, service: str, timeout: float) -> contextlib.AbstractContextManager[Lock]:
    """Hold the lock of a service, with a registry client of its own; see :func:`hold`."""
    registry = Consul.from_settings(context.settings)
    return hold(registry, service, timeout, context.console, timing=context.timing)


@contextlib.contextmanager
def hold(
    registry: Consul,
    service: str,
    timeout: float,
    console: Console,
    environ: Mapping[str, str] | None = None,
    *,
    timing: Timing | None = None,
) -> Iterator[Lock]:
    """Hold the lock of a service.

    :param registry: a client that nothing else uses: the lock's thread speaks through it.
    :param timeout: seconds to wait for another deploy to end; 0 means not at all.
    :param environ: for the build's name, which others are shown; None means the process's own environment.
    :param timing: how long the session lives; None means the usual times.
    :raises RegistryError: when another one holds it still; says who, since when and from which build.
    """
    lock = Lock(registry, service, os.environ if environ is None else environ, timing or Timing())
    deadline = retry.Deadline(timeout)
    reported = False

    def acquire() -> None:
        nonlocal reported
        try:
            lock.acquire()
        except _HeldByOther as held:
            if timeout and not reported:
                reported = True
                console.step(f"waiting for another deploy of {service}: {held}")
            raise

    try:
        try:
            retry.retry(acquire, deadline, (_HeldByOther,), min_pause=0.2, max_pause=1.0)
        except _HeldByOther as held:
            after = f" after {timeout:g} s" if timeout else ""
            raise RegistryError(
                f"{service} is being deployed{after}: {held}",
                "wait for it with --lock-timeout SECONDS; the lock of a killed deploy ends within 20 s",
            ) from held
        yield lock
    finally:
        lock.release()


def describe(holder: Mapping[str, Any]) -> str:
    """Who holds a lock, in words: ``jenkins on agent-1 (pid 4711) since 12:00:01, build http://…/17/``."""
    who = f"{holder.get('who', 'somebody')} on {holder.get('host', 'an unknown host')} (pid {holder.get('pid', '?')})"
    build = f", build {holder['build']}" if holder.get("build") else ""
    return f"{who} since {holder.get('since', 'an unknown time')}{build}"


def _parse(value: bytes) -> dict[str, Any]:
    try:
        data = json.loads(value)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _ourselves(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "who": _user(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": _process(os.getpid()),
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "build": environ.get("BUILD_URL") or environ.get("BUILD_TAG") or "",
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An agent's container may run under a user ID that has no name.
        return f"uid {os.getuid()}"


def _place() -> str:
    """This boot of this machine and this PID namespace: a process ID means something only there."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _process(pid: int) -> str:
    """An identity that no other process ever has: where it runs, its ID and when it was started.

    Empty when it has ended, and where ``/proc`` does not say it.
    """
    try:
        # The 3rd field is the state and the 22nd the start time; the 2nd, in parentheses, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # In an agent's container often no init process reaps: a killed process stays there as a zombie.
        return "" if fields[0] in _ENDED else f"{_place()} {pid} {fields[19]}"
    except (OSError, IndexError):
        return ""


def _is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this very machine and runs no more."""
    process, pid = holder.get("process"), holder.get("pid")
    if not isinstance(process, str) or not process or not isinstance(pid, int):
        return False
    try:
        here = _place()
    except OSError:
        return False
    return process.startswith(here + " ") and _process(pid) != process

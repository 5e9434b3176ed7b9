"""One deploy of a service, and of a project, at a time: keys of sessions in the registry, which die with their holder.

Two targets of one project are two services, whose deploys would bring up the same containers. The service's lock comes
first and the project's second, so that no two commands wait for each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jenkins_proxy import retry
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import lock_holder
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.orchestrator.base import Place
from jenkins_proxy.signals import undisturbed

PREFIX = "jenkins-proxy/locks/"
PROJECTS = "jenkins-proxy/project-locks/"


class LockLost(RegistryError):
    """The registry forgot our session, and another deploy has the lock by now."""


class _HeldByOther(Exception):
    """Another deploy has the lock."""

    def __init__(self, holder: Mapping[str, Any]) -> None:
        super().__init__(lock_holder.describe(holder))


class Held(Protocol):
    """What a command holds while it changes a service."""

    def ensure_held(self) -> None:
        """Check that nobody else deploys, or has since we began, before something that must not be done twice.

        :raises LockLost: when the session was lost and another deploy took the lock meanwhile.
        """


@dataclass(frozen=True)
class _Both:
    """The lock of a service, and that of its project."""

    service: Held
    project: Held

    def ensure_held(self) -> None:
        self.service.ensure_held()
        self.project.ensure_held()


@dataclass(frozen=True)
class Subject:
    """What a lock is of.

    :ivar key: in the registry.
    :ivar name: in words: ``books-ms``, ``project shop``.
    :ivar service: that is deployed, which the holder of a project's lock is asked for.
    """

    key: str
    name: str
    service: str

    @classmethod
    def of_service(cls, service: str) -> Subject:
        """The lock of a service."""
        return cls(PREFIX + service, service, service)

    @classmethod
    def of_project(cls, place: Place, service: str) -> Subject:
        """The lock of a project on its engine, for the deploy of a service."""
        engine = hashlib.sha256(place.engine.encode()).hexdigest()[:12]
        return cls(f"{PROJECTS}{place.project}/{engine}", f"project {place.project}", service)


class Lock:
    """A held lock. A thread keeps its session alive with a client of its own.

    The end of a session releases the key and leaves it there, so that the registry goes on counting who locks it: a
    lock whose session was lost (the process was paused, the registry was away) is taken again only if nobody had it
    meanwhile. What another deploy has changed, this one does not know.
    """

    def __init__(self, registry: Consul, subject: Subject, environ: Mapping[str, str], timing: Timing) -> None:
        self._registry = registry
        self._timing = timing
        self._subject = subject
        self._key = subject.key
        self._holder = json.dumps({**lock_holder.ourselves(environ), "service": subject.service}).encode()
        self._session = ""
        self._taken = (0, 0)
        # The session of before while it is not known whether another deploy had the lock since.
        self._former = ""
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
            holder = lock_holder.parse(held.value) if held else {}
            if not held or not lock_holder.is_dead(holder):
                raise _HeldByOther(holder)
            self._registry.session_destroy(held.session)
            if not self._try():
                raise _HeldByOther(holder)
        self._taken = self._count()
        self._thread.start()

    def ensure_held(self) -> None:
        """Check that nobody else deploys, or has since we began, before something that must not be done twice.

        :raises LockLost: when the session was lost and another deploy took the lock meanwhile. RegistryError: when it
            was lost, and the registry does not say whether one did.
        """
        self._renew()
        if self._former:
            try:
                retry.retry(self._retake, retry.Deadline(self._timing.registry_back), (RegistryError,))
            except RegistryError as error:
                raise RegistryError(
                    f"the lock of {self._subject.name} was lost, and whether another deploy had it is not known: "
                    f"{error.message}",
                    error.hint,
                ) from error
        if self._lost:
            held = self._registry.kv_get(self._key)
            holder = lock_holder.parse(held.value) if held and held.session != self._session else {}
            raise LockLost(
                f"the lock of {self._subject.name} was lost: "
                + (lock_holder.describe(holder) if holder else "another deploy had it meanwhile"),
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
        name = f"jenkins-proxy deploy {self._subject.service}"
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
            if self._lost:
                return
            if not self._registry.session_renew(self._session):
                session = self._new_session()
                self._former, self._session = self._former or self._session, session
        if self._former:
            with contextlib.suppress(RegistryError):
                self._retake()

    def _retake(self) -> None:
        """Take the lock with a new session, and find out whether another deploy had it since."""
        with self._mutex:
            if self._lost or not self._former:
                return
            key, times = self._taken
            if self._try():
                self._lost = self._count() != (key, times + 1)
                self._taken = (key, times + 1)
            elif (held := self._registry.kv_get(self._key)) and held.session == self._former:
                # It has not ended: a server that has just come to lead may say so of a session that it does not know
                # yet.
                self._registry.session_destroy(self._session)
                self._session = self._former
            else:
                self._lost = True
            self._former = ""

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._timing.lock_renew):
            self._renew()


def of_service(context: Context, service: str, timeout: float) -> contextlib.AbstractContextManager[Lock]:
    """Hold the lock of a service, with a registry client of its own; see :func:`hold`."""
    registry = Consul.from_settings(context.settings)
    return hold(registry, Subject.of_service(service), timeout, context.console, timing=context.timing)


@contextlib.contextmanager
def of_deploy(context: Context, service: str, place: Place, timeout: float) -> Iterator[Held]:
    """Hold the lock of a service and that of the project that it is deployed into.

    :param timeout: seconds to wait for both.
    """
    deadline = retry.Deadline(timeout)
    with (
        of_service(context, service, timeout) as held,
        with_project(context, held, service, place, deadline.remaining) as both,
    ):
        yield both


@contextlib.contextmanager
def with_project(context: Context, held: Held, service: str, place: Place | None, timeout: float) -> Iterator[Held]:
    """Hold the lock of a project, too.

    :param held: the lock of the service.
    :param place: where the project is; None where none is touched.
    """
    if place is None:
        yield held
        return
    subject = Subject.of_project(place, service)
    registry = Consul.from_settings(context.settings)
    with hold(registry, subject, timeout, context.console, timing=context.timing) as project:
        yield _Both(held, project)


@contextlib.contextmanager
def hold(
    registry: Consul,
    subject: Subject,
    timeout: float,
    console: Console,
    environ: Mapping[str, str] | None = None,
    *,
    timing: Timing | None = None,
) -> Iterator[Lock]:
    """Hold a lock.

    :param registry: a client that nothing else uses: the lock's thread speaks through it.
    :param timeout: seconds to wait for another deploy to end; 0 means not at all.
    :param environ: for the build's name, which others are shown; None means the process's own environment.
    :param timing: how long the session lives; None means the usual times.
    :raises RegistryError: when another one holds it still; says who, since when and from which build.
    """
    lock = Lock(registry, subject, os.environ if environ is None else environ, timing or Timing())
    deadline = retry.Deadline(timeout)
    reported = False

    def acquire() -> None:
        nonlocal reported
        try:
            lock.acquire()
        except _HeldByOther as held:
            if timeout and not reported:
                reported = True
                console.step(f"waiting for another deploy of {subject.name}: {held}")
            raise

    try:
        try:
            retry.retry(acquire, deadline, (_HeldByOther,), min_pause=0.2, max_pause=1.0)
        except _HeldByOther as held:
            after = f" after {timeout:g} s" if timeout else ""
            raise RegistryError(
                f"{subject.name} is being deployed{after}: {held}",
                "wait for it with --lock-timeout SECONDS; the lock of a killed deploy ends within 20 s",
            ) from held
        yield lock
    finally:
        # A signal would leave it to the registry, which gives it up some seconds later.
        with undisturbed():
            lock.release()

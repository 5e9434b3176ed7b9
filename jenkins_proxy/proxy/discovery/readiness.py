"""New instances that nobody checks are asked once whether they listen, before users are sent to them.

A registrator enters a container when it starts, and its server listens a moment later. Until then the port is not
always closed: Docker's own proxy, through which every request from the same host goes, takes the connection and drops
it without an answer, which no health check on the connection sees and no retry mends. So an instance without a check
in the registry, that joins others who serve, has to answer anything at all to ``OPTIONS *``, HTTP's own ping (RFC 9110,
section 9.3.7). One that refuses connections needs no such care, as HAProxy tries another server then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence

from jenkins_proxy.aio import TaskGroup, with_timeout
from jenkins_proxy.model import Address, Instance
from jenkins_proxy.proxy.reconcile.desired_state import live

_QUESTION = b"OPTIONS * HTTP/1.1\r\nHost: %s\r\nUser-Agent: jenkins-proxy\r\nConnection: close\r\n\r\n"
# What is silent for so long listens: it is slow, or speaks no HTTP.
_SILENT = 1.0
# What goes on dropping connections may not care for the question: users will tell.
_PATIENCE = 10.0
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25

Resolve = Callable[[Address], Sequence[Address]]
Identity = tuple[str, Address]


class ReadinessGate:
    """Knows which instances have not answered yet.

    :param resolve: the numeric addresses behind one.
    :param answered: called with a service's name in the registry and the time at which the registry told of the
        instance, when it is fit for users.
    """

    def __init__(self, resolve: Resolve, answered: Callable[[str, float], None], tasks: TaskGroup) -> None:
        self._resolve = resolve
        self._answered = answered
        self._tasks = tasks
        self._waiting: dict[str, dict[Identity, float]] = {}

    def unproven(self, registry_name: str) -> Collection[Address]:
        """Where instances are that have not answered yet."""
        return {address for _id, address in self._waiting.get(registry_name, ())}

    def check(
        self, registry_name: str, before: Iterable[Instance], now: Sequence[Instance], notified_at: float
    ) -> None:
        """Knock at what is new among the instances of a service, when others of them serve.

        :param before: as they were known; empty where nothing was.
        """
        there = {_identity(instance): instance for instance in live(now)}
        waiting = {who: since for who, since in self._waiting.get(registry_name, {}).items() if who in there}
        old = {_identity(instance) for instance in before}
        if there.keys() & old - waiting.keys():
            for who, instance in there.items():
                if who not in old and not instance.checked:
                    waiting[who] = notified_at
                    self._tasks.start(self._knock(registry_name, instance))
        self._waiting[registry_name] = waiting
        if not waiting:
            del self._waiting[registry_name]

    async def wait_ready(self, registry_name: str, instances: Iterable[Instance]) -> None:
        """Wait until each of these has answered, or has had the time to."""
        await asyncio.gather(*(self._knock(registry_name, one) for one in live(instances) if not one.checked))

    async def _knock(self, registry_name: str, instance: Instance) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await with_timeout(self._until_listening(instance), _PATIENCE)
        notified_at = self._waiting.get(registry_name, {}).pop(_identity(instance), None)
        if notified_at is not None:
            self._answered(registry_name, notified_at)

    async def _until_listening(self, instance: Instance) -> None:
        pause = _FIRST_PAUSE
        for address in self._resolve(instance.address):
            while not await listens(address):
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


async def listens(address: Address) -> bool:
    """False only for who takes a connection and closes it without a word."""
    try:
        reader, writer = await with_timeout(asyncio.open_connection(address.host, address.port), _SILENT)
    except (TimeoutError, OSError):
        return True
    try:
        writer.write(_QUESTION % str(address).encode())
        return bool(await with_timeout(reader.read(1), _SILENT))
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        writer.close()


def _identity(instance: Instance) -> Identity:
    return instance.id, instance.address

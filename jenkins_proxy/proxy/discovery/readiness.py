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
from collections.abc import Iterable, Sequence

from jenkins_proxy.aio import TaskGroup, with_timeout
from jenkins_proxy.model import Address, Instance
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import live
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_QUESTION = b"OPTIONS * HTTP/1.1\r\nHost: %s\r\nUser-Agent: jenkins-proxy\r\nConnection: close\r\n\r\n"

Identity = tuple[str, Address]


class ReadinessGate:
    """Holds back instances that have not answered yet, and enqueues their routes when they have."""

    def __init__(
        self, desired: DesiredState, loop: ReconcileLoop, *, tasks: TaskGroup, timing: Timing = DEFAULT
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._tasks = tasks
        self._timing = timing
        # When the registry reported of each instance that has not answered yet, by service.
        self._waiting: dict[str, dict[Identity, float]] = {}

    def check(
        self, registry_name: str, before: Iterable[Instance], now: Sequence[Instance], notified_at: float
    ) -> None:
        """Ask what is new among the instances of a service, when others of them serve.

        :param before: the instances that were known; empty where none was.
        """
        current = {_identity(instance): instance for instance in live(now)}
        waiting = {who: since for who, since in self._waiting.get(registry_name, {}).items() if who in current}
        old = {_identity(instance) for instance in before}
        if current.keys() & old - waiting.keys():
            for who, instance in current.items():
                if who not in old and not instance.checked:
                    waiting[who] = notified_at
                    self._tasks.start(self._admit(registry_name, instance))
        self._set_waiting(registry_name, waiting)

    async def wait_ready(self, instances: Iterable[Instance]) -> None:
        """Return when each of these has answered, or has had the time to."""
        await asyncio.gather(*(self._wait_ready(instance) for instance in live(instances) if not instance.checked))

    async def _admit(self, registry_name: str, instance: Instance) -> None:
        await self._wait_ready(instance)
        waiting = dict(self._waiting.get(registry_name, {}))
        notified_at = waiting.pop(_identity(instance), None)
        if notified_at is not None:
            self._set_waiting(registry_name, waiting)
            self._loop.enqueue(self._desired.services_of(registry_name), notified_at)

    def _set_waiting(self, registry_name: str, waiting: dict[Identity, float]) -> None:
        if waiting:
            self._waiting[registry_name] = waiting
        else:
            self._waiting.pop(registry_name, None)
        self._desired.set_not_ready(registry_name, {address for _id, address in waiting})

    async def _wait_ready(self, instance: Instance) -> None:
        with contextlib.suppress(TimeoutError):
            await with_timeout(self._until_listening(instance), self._timing.ready_timeout)

    async def _until_listening(self, instance: Instance) -> None:
        pause = self._timing.ready_retry_min
        for address in self._desired.hosts.resolve(instance.address):
            while not await listens(address, self._timing.ready_silence):
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._timing.ready_retry_max)


async def listens(address: Address, silence: float) -> bool:
    """Whether there is somebody: False only for what takes a connection and closes it without a word.

    :param silence: seconds after which whoever says nothing counts as there.
    """
    try:
        reader, writer = await with_timeout(asyncio.open_connection(address.host, address.port), silence)
    except (TimeoutError, OSError):
        return True
    try:
        writer.write(_QUESTION % str(address).encode())
        return bool(await with_timeout(reader.read(1), silence))
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        writer.close()


def _identity(instance: Instance) -> Identity:
    return instance.id, instance.address

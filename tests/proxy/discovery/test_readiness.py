"""Who is let in at once, who later, and who is not even asked."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate, listens
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing

SILENCE = Timing().ready_silence
OLD = Instance("books", "old", Address("127.0.0.1", 1))


def reset(writer: asyncio.StreamWriter) -> None:
    """Close as a port does whose server is gone."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


class Newcomer:
    """A port that takes connections and drops them, until it listens: Docker's proxy before a container's server."""

    def __init__(self) -> None:
        self.listens = False
        self.knocks: list[bytes] = []

    async def start(self, dropping=lambda writer: writer.close()) -> Instance:
        self._dropping = dropping
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return Instance("books", "new", Address("127.0.0.1", self._server.sockets[0].getsockname()[1]))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.listens:
            self.knocks.append(b"")
            self._dropping(writer)
            return
        self.knocks.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 501 Not Implemented\r\n\r\n")
        writer.close()


@pytest.fixture
async def newcomer():
    one = Newcomer()
    one.instance = await one.start()
    yield one
    one._server.close()


class Queue:
    """Stands in for the reconcile loop: notes what is enqueued."""

    def __init__(self) -> None:
        self.enqueued: list[tuple[list[str], float]] = []

    def enqueue(self, services, notified_at: float) -> None:
        self.enqueued.append((list(services), notified_at))


@pytest.fixture
def timing() -> Timing:
    return Timing()


@pytest.fixture
async def readiness(timing):
    failures: list[BaseException] = []
    tasks, queue = TaskGroup(failures.append), Queue()
    desired = DesiredState(StoredRoutes({"books": StoredRoute(Route("books", ("/",)), 1)}), {}, {})
    made = ReadinessGate(desired, queue, tasks=tasks, timing=timing)
    made.desired, made.told = desired, queue.enqueued
    yield made
    await tasks.cancel_all()
    assert failures == []


async def test_who_joins_others_serves_once_it_has_answered(readiness, newcomer, wait_until):
    new = newcomer.instance
    readiness.check("books", [OLD], [OLD, new], 7.0)
    await wait_until(lambda: len(newcomer.knocks) > 2)
    assert (readiness.desired.not_ready("books"), readiness.told) == ({new.address}, [])
    newcomer.listens = True
    await wait_until(lambda: readiness.told == [(["books"], 7.0)])
    assert readiness.desired.not_ready("books") == set()
    assert newcomer.knocks[-1].startswith(b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ([], {}),
        ([OLD], {"checked": True}),
        ([OLD], {"status": CRITICAL}),
    ],
    ids=["with nobody else there", "whom the registry checks", "who is not fit anyway"],
)
async def test_who_is_not_asked(readiness, newcomer, before, change):
    new = Instance(**{**vars(newcomer.instance), **change})
    readiness.check("books", before, [OLD, new], 7.0)
    assert readiness.desired.not_ready("books") == set()


async def test_who_was_there_already_is_not_asked_again(readiness, newcomer, wait_until):
    newcomer.listens = True
    new = newcomer.instance
    readiness.check("books", [OLD], [OLD, new], 7.0)
    await wait_until(lambda: readiness.told)
    tagged = Instance(**{**vars(new), "tags": ("v2",)})
    readiness.check("books", [OLD, new], [OLD, tagged], 8.0)
    assert readiness.desired.not_ready("books") == set()


async def test_who_leaves_before_it_answers_is_forgotten(readiness, newcomer, wait_until):
    readiness.check("books", [OLD], [OLD, newcomer.instance], 7.0)
    readiness.check("books", [OLD, newcomer.instance], [OLD], 8.0)
    assert readiness.desired.not_ready("books") == set()
    newcomer.listens = True
    await wait_until(lambda: newcomer.knocks)
    assert readiness.told == []


@pytest.mark.parametrize("timing", [Timing(ready_timeout=0.3)])
async def test_who_never_answers_is_let_in_after_a_while(readiness, newcomer, wait_until):
    readiness.check("books", [OLD], [OLD, newcomer.instance], 7.0)
    assert readiness.desired.not_ready("books") == {newcomer.instance.address}
    await wait_until(lambda: readiness.told == [(["books"], 7.0)])


async def test_a_route_that_is_put_waits_for_them(readiness, newcomer, wait_until):
    readiness.check("books", [OLD], [OLD, newcomer.instance], 7.0)
    proof = asyncio.ensure_future(readiness.wait_ready([newcomer.instance]))
    await wait_until(lambda: len(newcomer.knocks) > 2)
    assert not proof.done()
    newcomer.listens = True
    await proof
    assert (readiness.desired.not_ready("books"), readiness.told) == (set(), [(["books"], 7.0)])


@pytest.mark.parametrize("dropping", [lambda writer: writer.close(), reset])
async def test_only_who_drops_a_connection_does_not_listen(dropping, free_port):
    silent = socket.create_server(("127.0.0.1", 0))
    assert await listens(Address("127.0.0.1", free_port()), SILENCE)
    assert await listens(Address(*silent.getsockname()), SILENCE)
    silent.close()
    one = Newcomer()
    instance = await one.start(dropping)
    assert not await listens(instance.address, SILENCE)
    one.listens = True
    assert await listens(instance.address, SILENCE)
    one._server.close()

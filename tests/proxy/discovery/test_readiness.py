"""Who is let in at once, who later, and who is not even asked."""

from __future__ import annotations

import asyncio
import dataclasses
import socket

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate, pause, unanswered
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.backend import ServerState
from jenkins_proxy.proxy.holds import Hold, Holder
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))
OLD = Instance("books", "old", Address("127.0.0.1", 1))


class Server:
    """A port of a new instance: it drops connections until it has an ``answer``."""

    def __init__(self) -> None:
        self.answer = b""
        self.requests: list[bytes] = []

    async def start(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.instance = Instance("books", "new", Address("127.0.0.1", self._server.sockets[0].getsockname()[1]))
        return self

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(b"")
        if self.answer:
            self.requests[-1] = await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
        writer.close()


class Queue:
    """Stands in for the reconcile loop: notes what is enqueued."""

    def __init__(self) -> None:
        self.enqueued: list[tuple[list[str], float]] = []

    def enqueue(self, services, notified_at: float) -> None:
        self.enqueued.append((list(services), notified_at))


@pytest.fixture
async def server():
    started = await Server().start()
    yield started
    await started.stop()


@pytest.fixture
def route() -> Route:
    return BOOKS


@pytest.fixture
def restored() -> frozenset[Address]:
    return frozenset()


@pytest.fixture
def timing() -> Timing:
    return Timing(ready_report=0.1, ready_report_again=0.3)


@pytest.fixture
async def gate(route, restored, timing):
    failures: list[BaseException] = []
    tasks, queue, events = TaskGroup(lambda _name, error: failures.append(error)), Queue(), EventBus()
    stored = StoredRoutes({"books": StoredRoute(route, 1)} if route else {})
    desired = DesiredState(stored, {}, {"books": dict.fromkeys(restored, ServerState.SERVING)})
    made = ReadinessGate(desired, queue, events=events, tasks=tasks, timing=timing, limit=4)
    made.desired, made.enqueued, made.events = desired, queue.enqueued, events.subscribe()
    tasks.start(made.run())

    def report(*instances: Instance, notified_at: float = 7.0) -> None:
        before = desired.instances.known("books")
        desired.instances.take("books", instances)
        made.check("books", before, instances, notified_at)

    made.report = report
    yield made
    await tasks.cancel_all()
    assert failures == []


def waiting(gate) -> set[Address]:
    return set(gate.desired.instances.not_ready("books"))


def changed(instance: Instance, **change) -> Instance:
    return dataclasses.replace(instance, **change)


@pytest.mark.parametrize("others", [(), (OLD,)], ids=["the-first-one", "beside-others"])
@pytest.mark.parametrize("checked", [False, True], ids=["unchecked", "with-a-check-in-the-registry"])
async def test_a_new_instance_is_ready_once_it_has_answered(gate, server, wait_until, others, checked):
    gate.report(*others)
    gate.mark_ready("books", [(OLD.id, OLD.address)])
    new = changed(server.instance, checked=checked)
    gate.report(*others, new)
    await wait_until(lambda: len(server.requests) > 2)
    assert (waiting(gate), gate.enqueued) == ({new.address}, [])
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    await wait_until(lambda: gate.enqueued == [(["books"], 7.0)])
    assert waiting(gate) == set()
    assert server.requests[-1].startswith(f"GET /books HTTP/1.1\r\nHost: {new.address}\r\n".encode())


@pytest.mark.parametrize("route", [dataclasses.replace(BOOKS, skip_check=True)])
async def test_without_a_check_it_is_ready_at_once(gate, server):
    gate.report(server.instance)
    assert waiting(gate) == set()
    assert server.requests == []


@pytest.mark.parametrize("timing", [Timing(ready_retry_max=0.05)])
async def test_a_candidate_is_its_deploys_to_ask(gate, server, wait_until):
    gate.desired.put_hold(
        Hold("0123abcd", "ab" * 32, BOOKS, Holder("me"), since=0.0, until=60.0, before=(OLD.address,), version=1)
    )
    gate.report(server.instance)
    await asyncio.sleep(0.2)
    assert (waiting(gate), server.requests) == ({server.instance.address}, [])
    gate.desired.end_hold("books", 1)
    await wait_until(lambda: server.requests)


async def test_a_critical_one_is_asked_when_its_own_check_passes(gate, server, wait_until):
    gate.report(changed(server.instance, status=CRITICAL))
    await asyncio.sleep(0.1)
    assert (waiting(gate), server.requests) == (set(), [])
    gate.report(server.instance, notified_at=8.0)
    assert waiting(gate) == {server.instance.address}
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    await wait_until(lambda: gate.enqueued == [(["books"], 8.0)])


async def test_one_that_becomes_critical_is_not_asked_any_more(gate, server, wait_until):
    gate.report(server.instance)
    await wait_until(lambda: server.requests)
    gate.report(changed(server.instance, status=CRITICAL))
    await asyncio.sleep(0.1)
    asked = len(server.requests)
    await asyncio.sleep(0.2)
    assert (len(server.requests), waiting(gate)) == (asked, set())


async def test_an_instance_stays_ready_for_as_long_as_it_is_registered(gate, server, wait_until):
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    gate.report(server.instance)
    await wait_until(lambda: gate.enqueued)
    for change in ({"tags": ("v2",)}, {"status": CRITICAL}, {}):
        gate.report(changed(server.instance, **change))
        assert waiting(gate) == set()
    assert len(server.requests) == 1
    gate.report()
    gate.report(server.instance)
    assert waiting(gate) == {server.instance.address}


async def test_another_container_at_the_same_address_is_asked_anew(gate, server, wait_until):
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    gate.report(server.instance)
    await wait_until(lambda: gate.enqueued)
    gate.report(changed(server.instance, id="another"))
    assert waiting(gate) == {server.instance.address}


async def test_a_second_entry_of_what_is_ready_is_ready(gate, server, wait_until):
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    gate.report(server.instance)
    await wait_until(lambda: gate.enqueued)
    gate.report(server.instance, changed(server.instance, id="twin"))
    assert waiting(gate) == set()


async def test_one_that_leaves_before_it_answers_is_forgotten(gate, server, wait_until):
    gate.report(OLD)
    gate.mark_ready("books", [(OLD.id, OLD.address)])
    gate.report(OLD, server.instance)
    await wait_until(lambda: server.requests)
    gate.report(OLD)
    assert waiting(gate) == set()
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    asked = len(server.requests)
    await asyncio.sleep(0.2)
    assert (len(server.requests) <= asked + 1, gate.enqueued) == (True, [])


@pytest.mark.parametrize("restored", [frozenset({OLD.address})])
async def test_what_served_before_the_daemon_started_is_ready_at_its_first_report_only(gate):
    gate.report(OLD)
    assert waiting(gate) == set()
    gate.report()
    gate.report(OLD)
    assert waiting(gate) == {OLD.address}


@pytest.mark.parametrize("restored", [frozenset({Address("127.0.0.1", 1)})])
async def test_what_served_under_a_host_name_is_ready_once_the_name_is_known(gate, wait_until):
    named = Instance("books", "named", Address("a.local", 1))
    gate.report(named)
    assert waiting(gate) == {named.address}
    gate.desired.hosts.put("a.local", ["127.0.0.1"])
    await wait_until(lambda: gate.enqueued)


async def test_an_entry_without_a_port_is_not_waited_for(gate):
    gate.report(Instance("books", "portless", Address("127.0.0.1", 0)))
    assert waiting(gate) == set()


@pytest.mark.parametrize("route", [None])
async def test_without_a_route_yet_nobody_is_asked_and_nobody_is_ready(gate, server, wait_until):
    gate.report(server.instance)
    await asyncio.sleep(0.1)
    assert (server.requests, waiting(gate)) == ([], {server.instance.address})
    server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    gate.desired.put_route(StoredRoute(BOOKS, 1))
    await wait_until(lambda: gate.enqueued == [(["books"], 7.0)])


async def test_what_no_route_needs_any_more_is_not_asked_and_begins_anew(gate, server, wait_until):
    gate.report(server.instance)
    await wait_until(lambda: server.requests)
    gate.desired.remove_route("books", 1)
    gate.desired.forget_instances()
    await asyncio.sleep(0.1)
    asked = len(server.requests)
    await asyncio.sleep(0.2)
    assert len(server.requests) == asked
    gate.desired.put_route(StoredRoute(BOOKS, 2))
    gate.report(server.instance)
    await wait_until(lambda: len(server.requests) > asked)


async def test_it_is_reported_now_and_then_with_what_came_instead(gate, server):
    server.answer = b"HTTP/1.1 500 Oops\r\n\r\n"
    gate.report(server.instance)
    for _ in range(2):
        event = await asyncio.wait_for(anext(gate.events), 5)
        assert (event.kind, event.service, event.address) == ("instance-waiting", "books", server.instance.address)
        assert event.detail == "has not answered yet (0 s): GET /books: HTTP 500"


@pytest.mark.parametrize("timing", [Timing(ready_answer=0.15)])
async def test_a_silent_crowd_does_not_keep_a_new_one_waiting(gate, server):
    """More of them than are asked at once, each of which takes all of its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        crowd = [Instance("books", f"silent-{number}", Address(*silent.getsockname())) for number in range(6)]
        gate.report(*crowd)
        # All of them were asked once, and only half of the room is for those who are asked again.
        await asyncio.sleep(0.5)
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        gate.report(*crowd, server.instance)
        await asyncio.sleep(0.1)
        assert gate.enqueued == [(["books"], 7.0)]


async def test_a_crowd_is_asked_a_few_at_a_time(gate, wait_until):
    most = open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, open_now
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        open_now -= 1
        writer.close()

    crowd = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = Address("127.0.0.1", crowd.sockets[0].getsockname()[1])
    gate.report(*(Instance("books", f"new-{number}", address) for number in range(40)))
    await wait_until(lambda: len(gate.enqueued) == 40)
    assert (most, waiting(gate)) == (4, set())
    crowd.close()


@pytest.mark.parametrize(("waited", "expected"), [(0, 0.01), (0.05, 0.01), (1, 0.1), (5, 0.5), (60, 1.0)])
def test_none_joins_much_later_than_it_could(waited, expected):
    assert pause(waited, Timing()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "seen", "expected"),
    [
        (14.2, "", "has not answered yet (14 s)"),
        (14.2, "GET /: HTTP 500", "has not answered yet (14 s): GET /: HTTP 500"),
    ],
)
def test_what_is_reported(seconds, seen, expected):
    assert unanswered(seconds, seen) == expected

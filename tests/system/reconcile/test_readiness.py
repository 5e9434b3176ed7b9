"""Nobody meets an instance that has not answered the check of its route: with a real HAProxy and a real Consul."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.models import NONE, NotReadyError
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))
HEALTH = dataclasses.replace(BOOKS, check_path="/health")
REGEX = Route("books", ("/books.*",), path_type="path_reg")
SOON = Timing(ready_wait=0.3, ready_others=0.1, ready_report=0.2, ready_report_again=0.2)


class Instance:
    """A server whose every answer can be set: to ``GET``, to the check, to ``OPTIONS``."""

    def __init__(self, name: str, **statuses: int) -> None:
        self.name = name
        self.statuses = {"books": 200, "health": 200, "options": 200, **statuses}
        self.drops = False
        self.requests: list[str] = []
        self.port = 0

    async def start(self) -> Instance:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            head = ""
        if head and not self.drops:
            method, target = head.split(" ")[:2]
            self.requests.append(f"{method} {target}")
            status = self.statuses["options" if method == "OPTIONS" else target.strip("/").split("/")[0]]
            body = self.name.encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            )
        writer.close()


@pytest.fixture
async def instance():
    """``await instance("name", books=500)`` is a server that runs until the test ends."""
    started = []

    async def start(name: str, **statuses: int) -> Instance:
        started.append(await Instance(name, **statuses).start())
        return started[-1]

    yield start
    for one in started:
        await one.stop()


def state_of(daemon, server: Instance) -> str:
    (served,) = [
        served
        for served in daemon.proxy_service.route("books").instances
        if served.instance.address.port == server.port
    ]
    return served.state


@pytest.mark.parametrize(
    ("route", "statuses", "drops"),
    [
        pytest.param(BOOKS, {"books": 500}, False, id="answers-500"),
        pytest.param(BOOKS, {"books": 500, "options": 200}, False, id="options-200-but-get-500"),
        pytest.param(HEALTH, {"health": 404}, False, id="its-check-path-is-not-there"),
        pytest.param(BOOKS, {}, True, id="accepts-and-closes"),
        pytest.param(REGEX, {}, True, id="accepts-and-closes-where-no-page-is-known"),
    ],
)
async def test_one_that_does_not_answer_never_joins_others(
    daemon, instance, enter, ask, wait_until, route, statuses, drops
):
    one, good, bad = await daemon(timing=SOON), await instance("good"), await instance("bad", **statuses)
    bad.drops = drops
    await enter(good)
    await one.proxy_service.put(route)
    version = one.proxy_service.state().version
    await enter(bad, status="passing")
    await wait_until(lambda: one.kinds().count("instance-waiting") > 1)
    assert state_of(one, bad) == "waiting"
    assert one.serving() == {good.port}
    assert {(await ask(one.port, "/books")).body for _ in range(10)} == {"good"}
    # Nor does another call for the route let it in.
    assert (await one.proxy_service.put(route)).applied == NONE
    event = next(event for event in one.events if event.kind == "instance-waiting")
    assert event.address.port == bad.port
    assert event.detail.startswith("has not answered yet (0 s): ")
    bad.statuses, bad.drops = good.statuses, False
    await wait_until(lambda: one.serving() == {good.port, bad.port})
    assert state_of(one, bad) == "serving"
    assert {(await ask(one.port, "/books")).body for _ in range(10)} == {"good", "bad"}
    assert one.proxy_service.state().version == version


async def test_one_that_is_ready_later_joins_then_and_no_user_has_met_it_before(
    daemon, instance, enter, ask, wait_until
):
    one, good, slow = await daemon(timing=SOON), await instance("good"), await instance("slow", books=503)
    await enter(good)
    await one.proxy_service.put(BOOKS)
    await enter(slow)
    bodies = []
    for _ in range(50):
        bodies.append((await ask(one.port, "/books")).body)
        await asyncio.sleep(0.02)
    slow.statuses["books"] = 200
    await wait_until(lambda: one.serving() == {good.port, slow.port})
    assert set(bodies) == {"good"}
    assert {request for request in slow.requests if request != "GET /books"} == set()


async def test_the_first_instance_of_a_route_serves_once_it_answers(daemon, instance, enter, registry, ask):
    one, server = await daemon(timing=SOON), await instance("first", books=500)
    await enter(server)
    with pytest.raises(NotReadyError) as refused:
        await one.proxy_service.put(BOOKS, wait=0.3)
    assert refused.value.message == (
        f"no instance of books is ready: 127.0.0.1:{server.port} has not answered yet (0 s): GET /books: HTTP 500"
    )
    assert await registry.kv_get("jenkins-proxy/routes/books") is None
    assert (await ask(one.port, "/books")).body == "jenkins-proxy: no route\n"
    call = asyncio.ensure_future(one.proxy_service.put(BOOKS, wait=10))
    await asyncio.sleep(0.3)
    assert not call.done()
    server.statuses["books"] = 200
    assert [address.port for address in (await call).serving] == [server.port]
    assert (await ask(one.port, "/books")).body == "first"


async def test_a_call_that_waits_sees_the_container_that_was_started_again(daemon, instance, enter, registry, ask):
    one, broken, mended = await daemon(timing=SOON), await instance("broken", books=500), await instance("mended")
    identity = await enter(broken)
    call = asyncio.ensure_future(RouteWaiter(one.proxy_service, registry, SOON).put(BOOKS, wait=20))
    await asyncio.sleep(0.3)
    await registry.deregister(identity)
    await enter(mended)
    assert [address.port for address in (await call).serving] == [mended.port]
    assert (await ask(one.port, "/books")).body == "mended"


async def test_a_forced_route_serves_nobody_until_one_answers(daemon, instance, enter, ask, wait_until):
    one, server = await daemon(timing=SOON), await instance("late", books=500)
    await enter(server)
    assert (await one.proxy_service.put(BOOKS, allow_empty=True)).serving == ()
    await wait_until(lambda: state_of(one, server) == "waiting")
    # The proxy's own answer, and not the error of an instance that is not ready.
    assert (await ask(one.port, "/books")).status == 503
    server.statuses["books"] = 200
    await wait_until(one.serving)
    assert (await ask(one.port, "/books")).body == "late"


async def test_another_color_that_does_not_answer_changes_nothing(daemon, instance, enter, ask):
    one, blue, green = await daemon(timing=SOON), await instance("blue"), await instance("green", books=500)
    await enter(blue, "books-blue")
    await enter(green, "books-green")
    await one.proxy_service.put(dataclasses.replace(BOOKS, color="blue"))
    with pytest.raises(NotReadyError, match=r"no instance of books-green is ready: .* has not answered yet"):
        await one.proxy_service.put(dataclasses.replace(BOOKS, color="green"), wait=0.3)
    assert one.proxy_service.route("books").route.color == "blue"
    assert {(await ask(one.port, "/books")).body for _ in range(6)} == {"blue"}


async def test_without_a_check_it_joins_at_once(daemon, instance, enter, wait_until):
    one, server = await daemon(timing=SOON), await instance("here", books=500)
    await enter(server)
    state = await one.proxy_service.put(dataclasses.replace(BOOKS, skip_check=True))
    assert [address.port for address in state.serving] == [server.port]
    assert server.requests == []


async def test_a_restart_of_the_daemon_takes_nobody_out(daemon, instance, enter, ask, wait_until):
    one, server = await daemon(timing=SOON), await instance("here")
    await enter(server)
    await one.proxy_service.put(BOOKS)
    await one.stop()
    # It fails just now; but it is known, and who takes out what served is HAProxy's own check.
    server.statuses["books"] = 500
    again = await daemon(timing=SOON)
    late = await instance("late", books=500)
    await enter(late)
    await wait_until(lambda: len(again.proxy_service.route("books").instances) == 2)
    await asyncio.sleep(0.3)
    assert again.serving() == {server.port}
    assert (state_of(again, server), state_of(again, late)) == ("serving", "waiting")
    assert (await ask(again.port, "/books")).body == "here"


async def test_the_check_path_is_haproxys_own_check_from_then_on(daemon, instance, enter, ask, wait_until):
    """Also of a server that was added at run time."""
    one, first, second = await daemon(timing=SOON), await instance("first"), await instance("second")
    await enter(first)
    await one.proxy_service.put(HEALTH)
    version = one.proxy_service.state().version
    await enter(second)
    await wait_until(lambda: one.serving() == {first.port, second.port})
    assert one.proxy_service.state().version == version
    # It is gone for a moment, and HAProxy takes it out as users' requests cannot connect.
    await second.stop()
    assert {(await ask(one.port, "/books")).body for _ in range(10)} == {"first"}
    # A check of the connection alone would let it in again, two seconds after it listens.
    second.statuses["health"] = 503
    second.requests.clear()
    await second.start()
    await wait_until(lambda: second.requests.count("GET /health") > 1)
    assert {(await ask(one.port, "/books")).body for _ in range(10)} == {"first"}
    second.statuses["health"] = 200
    bodies: set[str] = set()
    while bodies != {"first", "second"}:
        bodies.add((await ask(one.port, "/books")).body)
        await asyncio.sleep(0.05)

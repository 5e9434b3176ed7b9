"""Counts of users against the load that made them: they are equal, over whatever happens to HAProxy meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import PROBE_HEADER
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.telemetry.user_counter import UserCounter

BOOKS = Route("books", ("/",))


class Proxy:
    """HAProxy with an applier, whose users can be counted."""

    def __init__(self, port: int, folder) -> None:
        self.port = port
        self.haproxy = HAProxy(Options(binds=(f"127.0.0.1:{port}",)), folder)
        self.applier = Applier(self.haproxy)
        self.errors: list[BaseException] = []
        self.tasks = TaskGroup(lambda _name, error: self.errors.append(error))
        self.counter = UserCounter(self.haproxy, self.tasks)
        self.haproxy.on_worker = self.counter.on_worker
        self.desired: dict[str, Backend] = {}

    async def serve(self, route: Route, *servers) -> None:
        self.desired[route.service] = Backend.serving(route, [server.address for server in servers])
        services = [route.service]
        wanted = {name: self.desired[name] for name in services}
        await self.applier.apply(wanted, services, lambda: self.desired)

    async def reload(self) -> None:
        await self.applier.apply({}, (), lambda: self.desired, force=True)

    async def workers(self) -> tuple[int, ...]:
        workers = await self.haproxy.runtime.workers()
        return workers.current, *workers.old


@pytest.fixture
async def proxy(haproxy, free_port, tmp_path):
    proxy = Proxy(free_port(), tmp_path / "run")
    await proxy.applier.start({}, 1, "key")
    yield proxy
    proxy.counter.close()
    await proxy.tasks.cancel_all()
    await proxy.haproxy.stop()
    assert proxy.errors == []


@pytest.fixture
def users(visitor):
    """``async with users(port) as sent``: some who never stop. ``sent[200]`` is how many had this status."""

    class Users:
        def __init__(self, port: int) -> None:
            self.port, self.sent, self.stopped = port, {}, False

        async def __aenter__(self) -> dict:
            self.tasks = [asyncio.create_task(self.go(kind)) for kind in ("keep-alive", "close") * 3]
            return self.sent

        async def __aexit__(self, *_error) -> None:
            self.stopped = True
            await asyncio.gather(*self.tasks)

        async def go(self, connection: str) -> None:
            while not self.stopped:
                async with visitor(self.port) as user:
                    closing = False
                    while not self.stopped and not closing:
                        answer = await user.ask("/x", connection=connection)
                        self.sent[answer.status] = self.sent.get(answer.status, 0) + 1
                        closing = "close" in (connection, answer.headers.get("connection"))

    return Users


@pytest.fixture
def go_on(wait_until):
    """``await go_on(sent, 20)`` returns when so many more requests were answered."""

    async def wait(sent: dict, more: int = 100) -> None:
        goal = sum(sent.values()) + more
        await wait_until(lambda: sum(sent.values()) >= goal)

    return wait


async def test_a_count_equals_the_load_over_reloads_and_changes_of_servers(proxy, origin, users, go_on):
    server, other = await origin(), await origin()
    await proxy.serve(BOOKS, server)
    await proxy.counter.start("books")
    async with users(proxy.port) as sent:
        for number in range(5):
            await proxy.serve(Route("other", (f"/other{number}",)), server)
            await proxy.serve(BOOKS, server, other)
            await go_on(sent)
            await proxy.reload()
            await proxy.serve(BOOKS, server)
            await go_on(sent, 20)
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.failed, counts.exact) == (sent[200], 0, True)
    assert sum(counts.histogram.values()) == sent[200]
    assert counts.p99_ms < 5000
    assert proxy.counter.counts("books") is None


async def test_who_is_connected_to_a_worker_of_before_is_counted_and_then_lets_it_go(proxy, origin, visitor, until):
    server = await origin()
    await proxy.serve(BOOKS, server)
    async with visitor(proxy.port) as early, visitor(proxy.port) as slow:
        await early.ask("/")
        await slow.ask("/")
        await proxy.reload()
        assert len(await proxy.workers()) == 2
        await proxy.counter.start("books")
        await slow.send("/slow")
        await early.ask("/")
        await proxy.reload()
        server.release.set()
        assert (await slow.receive()).status == 200
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.exact) == (2, True)

    async def alone() -> bool:
        return len(await proxy.workers()) == 1

    await until(alone)


async def test_failed_ones_are_told_apart_and_a_deploys_own_are_not_counted(proxy, origin, ask):
    server = await origin()
    await proxy.serve(BOOKS, server)
    await ask(proxy.port, "/before")
    await proxy.counter.start("books")
    await proxy.counter.start("books")
    await ask(proxy.port, "/error")
    await ask(proxy.port, "/close")
    await ask(proxy.port, "/error", **{PROBE_HEADER.replace("-", "_"): "key"})
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.failed, counts.exact) == (3, 2, True)


async def test_a_second_count_begins_at_nothing_and_other_services_are_not_in_it(proxy, origin, ask):
    server = await origin()
    await proxy.serve(BOOKS, server)
    await proxy.serve(Route("other", ("/other",)), server)
    for more in (1, 3):
        await proxy.counter.start("books")
        await ask(proxy.port, "/other")
        for _ in range(more):
            await ask(proxy.port, "/")
        counts = await proxy.counter.stop("books")
        assert (counts.requests, counts.exact) == (more, True)
        await ask(proxy.port, "/uncounted")


async def test_a_service_without_a_route_yet_is_counted_from_its_first_request(proxy, origin, ask):
    await proxy.counter.start("books")
    assert (await ask(proxy.port, "/")).status == 503
    await proxy.serve(BOOKS, await origin())
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.failed, counts.exact) == (1, 0, True)


async def test_after_a_kill_of_haproxy_it_says_at_least(proxy, origin, ask, wait_until):
    await proxy.serve(BOOKS, await origin())
    await proxy.counter.start("books")
    await ask(proxy.port, "/")
    before = await proxy.workers()
    os.kill(before[0], signal.SIGKILL)
    await wait_until(lambda: not proxy.haproxy.serving)
    await wait_until(lambda: proxy.haproxy.serving)
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert counts.exact is False
    assert 1 <= counts.requests <= 2
    await proxy.counter.start("books")
    await ask(proxy.port, "/")
    again = await proxy.counter.stop("books")
    assert (again.requests, again.exact) == (1, True)


async def test_a_worker_of_before_that_dies_while_its_last_lines_are_read(proxy, origin, ask, wait_until, mocker):
    await proxy.serve(BOOKS, await origin())
    await proxy.counter.start("books")
    before = (await proxy.workers())[0]
    totals, dead = proxy.haproxy.runtime.totals, asyncio.Event()

    async def dies(pid: int, backend: str):
        if pid == before and not dead.is_set():
            os.kill(before, signal.SIGKILL)
            await wait_until(lambda: not proxy.counter.counts("books").exact)
            dead.set()
        return await totals(pid, backend)

    mocker.patch.object(proxy.haproxy.runtime, "totals", side_effect=dies)
    await proxy.reload()
    await asyncio.wait_for(dead.wait(), 10)
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.exact) == (1, False)


async def test_what_was_counted_is_told_until_the_count_has_ended(proxy, origin, ask, mocker):
    await proxy.serve(BOOKS, await origin())
    await proxy.counter.start("books")
    await ask(proxy.port, "/")
    change, told = proxy.haproxy.runtime.change_worker, []

    async def changing(pid: int, *commands: str) -> None:
        told.append(proxy.counter.counts("books"))
        await change(pid, *commands)

    mocker.patch.object(proxy.haproxy.runtime, "change_worker", side_effect=changing)
    counts = await proxy.counter.stop("books")
    assert told and [own for own in told if own != counts] == []
    assert proxy.counter.counts("books") is None


async def test_a_worker_that_does_not_know_of_the_count_makes_it_inexact(proxy, origin, ask):
    await proxy.serve(BOOKS, await origin())
    await proxy.counter.start("books")
    proxy.haproxy.files.write_counted({})
    await proxy.reload()
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.exact) == (1, False)


async def test_a_worker_that_did_not_answer_at_its_start_is_followed_once_something_is_counted(proxy, origin, ask):
    await proxy.serve(BOOKS, await origin())
    proxy.counter.close()
    await ask(proxy.port, "/")
    await proxy.counter.start("books")
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.exact) == (1, True)


async def test_lines_that_are_missing_make_it_inexact(proxy, origin, ask):
    await proxy.serve(BOOKS, await origin())
    await proxy.counter.start("books")
    await ask(proxy.port, "/")
    pid = (await proxy.workers())[0]
    await proxy.haproxy.runtime.change_worker(pid, "del map counted.map books-be")
    await ask(proxy.port, "/")
    counts = await proxy.counter.stop("books")
    assert (counts.requests, counts.exact) == (1, False)

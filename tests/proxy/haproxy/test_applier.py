"""Changes of servers and routes under load: each request is counted, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from types import SimpleNamespace

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import output
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.retry import Deadline

BOOKS = Route("books", ("/",))


class Proxy:
    """HAProxy with an applier, and what is desired of it."""

    def __init__(self, port: int, folder) -> None:
        self.port = port
        self.haproxy = HAProxy(Options(binds=(f"127.0.0.1:{port}",)), folder)
        self.applier = Applier(self.haproxy)
        self.desired: dict[str, Backend] = {}

    async def serve(self, route: Route, *servers) -> object:
        self.desired[route.service] = Backend.serving(route, [one.address for one in servers])
        return await self.apply(route.service)

    async def apply(self, *services, force: bool = False) -> object:
        wanted = {name: self.desired[name] for name in services if name in self.desired}
        return await self.applier.apply(wanted, services, lambda: self.desired, force=force)

    async def names(self, service: str = "books") -> list[str]:
        lines = (await self.haproxy.runtime.ask(f"show servers conn {service}-be"))[0].splitlines()[1:]
        return sorted(line.split()[0].partition("/")[2] for line in lines)


@pytest.fixture
async def proxy(haproxy, free_port, tmp_path):
    proxy = Proxy(free_port(), tmp_path / "run")
    await proxy.applier.start({}, 1, "key")
    work = [asyncio.create_task(proxy.applier.run_reaper()), asyncio.create_task(proxy.applier.run_writer())]
    yield proxy
    for task in work:
        task.cancel()
    await asyncio.wait(work)
    await proxy.haproxy.stop()


class Load:
    """Users who never stop: half of them over one connection as long as it lasts, half over a new one a request.

    :ivar counts: the answers by status, and what broke by its name.
    """

    def __init__(self, visitor, ask, port: int) -> None:
        self.visitor = visitor
        self.ask = ask
        self.port = port
        self.counts: dict[object, int] = {}
        self.stopped = False

    async def __aenter__(self) -> Load:
        self.users = [asyncio.create_task(self.surviving(way)) for way in (self.keeping, self.renewing) * 3]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.stopped = True
        await asyncio.gather(*self.users)

    @property
    def sent(self) -> int:
        return sum(self.counts.values())

    def count(self, what: object) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def keeping(self) -> None:
        async with self.visitor(self.port) as user:
            closing = False
            while not self.stopped and not closing:
                answer = await user.ask("/x")
                self.count(answer.status)
                closing = answer.headers.get("connection") == "close"

    async def renewing(self) -> None:
        self.count((await self.ask(self.port, "/x")).status)

    async def surviving(self, way) -> None:
        while not self.stopped:
            try:
                await way()
            except (OSError, EOFError) as error:
                self.count(repr(error))


@pytest.fixture
def load(visitor, ask, wait_until):
    """``async with load(port) as users``; ``await users.go_on(20)`` waits for so many more answers."""

    class Waiting(Load):
        async def go_on(self, more: int) -> None:
            goal = self.sent + more
            await wait_until(lambda: self.sent >= goal, seconds=60)

    return lambda port: Waiting(visitor, ask, port)


async def test_no_request_is_lost_during_20_reloads(proxy, origin, load):
    server = await origin()
    await proxy.serve(BOOKS, server)
    async with load(proxy.port) as users:
        for number in range(20):
            await proxy.serve(Route("other", (f"/other{number}",)), server)
            await users.go_on(20)
    assert set(users.counts) == {200}
    assert proxy.applier.version == 22


async def test_no_request_is_lost_while_servers_come_and_go(proxy, origin, load):
    first, *others = [await origin() for _ in range(4)]
    await proxy.serve(BOOKS, first)
    reloads = proxy.applier.version
    async with load(proxy.port) as users:
        for _ in range(10):
            await proxy.serve(BOOKS, first, *others)
            await users.go_on(40)
            await proxy.serve(BOOKS, first)
            await proxy.applier.wait_idle("books", [one.address for one in others], Deadline(10))
            for one in others:
                await one.stop()
            await users.go_on(20)
            for one in others:
                await one.start(one.address.port)
    assert set(users.counts) == {200}
    assert proxy.applier.version == reloads
    assert all(len(one.requests) > 10 for one in others)


async def test_a_server_that_died_costs_no_request_after_those_in_flight(proxy, origin, load):
    alive, dead = await origin(), await origin()
    await proxy.serve(BOOKS, alive, dead)
    async with load(proxy.port) as before:
        await before.go_on(50)
    await dead.stop()
    async with load(proxy.port) as after:
        await after.go_on(200)
    assert set(before.counts) == set(after.counts) == {200}


async def test_a_reload_answers_when_no_worker_of_before_takes_users(proxy, origin, visitor, mocker):
    server = await origin()
    await proxy.serve(BOOKS, server)
    (before,) = {(await proxy.haproxy.runtime.workers()).current}
    assert await proxy.haproxy.runtime.accepts(before)
    # Who is connected keeps the worker of before alive.
    async with visitor(proxy.port) as socket:
        await socket.send("/socket", Connection="Upgrade", Upgrade="echo")
        assert (await socket.receive()).status == 101
        # A busy machine lets it take users for a while after the new one serves.
        late = [True, True]
        really = proxy.haproxy.runtime.accepts

        async def accepts(pid: int) -> bool:
            return late.pop() if late else await really(pid)

        mocker.patch.object(proxy.haproxy.runtime, "accepts", side_effect=accepts)
        await proxy.serve(Route("books", ("/new",)), server)
        assert late == []
        assert (await proxy.haproxy.runtime.workers()).old == (before,)
        assert not await really(before)


async def test_a_request_in_flight_and_an_open_socket_live_on_while_their_server_is_drained(
    proxy, origin, visitor, ask, wait_until
):
    old, new = await origin("old"), await origin("new")
    await proxy.serve(BOOKS, old)
    async with visitor(proxy.port) as slow, visitor(proxy.port) as socket:
        await slow.send("/slow")
        await old.arrived.wait()
        await socket.send("/socket", Connection="Upgrade", Upgrade="echo")
        assert (await socket.receive()).status == 101
        await proxy.serve(BOOKS, new)
        assert (await ask(proxy.port, "/")).body == "new"
        with pytest.raises(ProxyError, match="requests are still in flight"):
            await proxy.applier.wait_idle("books", [old.address], Deadline(0.2))
        old.release.set()
        assert (await slow.receive()).body == "old"
        socket.writer.write(b"still here")
        assert await socket.reader.readexactly(10) == b"still here"
        assert len(await proxy.names()) == 2
    await proxy.applier.wait_idle("books", [old.address], Deadline(10))
    await wait_until(lambda: not proxy.applier.running["books"].addresses(ServerState.DRAINING))
    assert await proxy.names() == [str(new.address)]


async def test_an_idle_user_of_before_a_reload_keeps_the_old_servers_from_being_idle(proxy, origin, visitor):
    old, new = await origin("old"), await origin("new")
    await proxy.serve(BOOKS, old)
    async with visitor(proxy.port) as user:
        assert (await user.ask("/")).body == "old"
        # Another path: a reload, after which the worker of before has the servers of then.
        await proxy.serve(Route("books", ("/", "/more")), new)
        with pytest.raises(ProxyError):
            await proxy.applier.wait_idle("books", [old.address], Deadline(0.2))
        answer = await user.ask("/")
        assert (answer.body, answer.headers["connection"]) == ("old", "close")
    await proxy.applier.wait_idle("books", [old.address], Deadline(10))


async def test_a_server_that_comes_back_before_it_is_gone_serves_again(proxy, origin, visitor, ask):
    server = await origin()
    await proxy.serve(BOOKS, server)
    async with visitor(proxy.port) as slow:
        await slow.send("/slow")
        await server.arrived.wait()
        await proxy.serve(BOOKS)
        assert (await ask(proxy.port, "/")).status == 503
        applied = await proxy.serve(BOOKS, server)
        (change,) = applied.changes
        assert (change.before, change.after) == (ServerState.DRAINING, ServerState.SERVING)
        assert not applied.reloaded
        assert (await ask(proxy.port, "/")).status == 200
        server.release.set()
        assert (await slow.receive()).status == 200


async def test_a_new_server_comes_to_its_full_share_slowly(proxy, origin, ask):
    old, new = await origin(), await origin()
    slow = Route("books", ("/",), slow_start=3600)
    await proxy.serve(slow, old)
    await proxy.serve(slow, old, new)
    for _ in range(60):
        assert (await ask(proxy.port, "/")).status == 200
    assert 0 < len(new.requests) < len(old.requests) / 2


async def test_the_file_is_what_runs(proxy, origin, wait_until):
    servers = [await origin() for _ in range(3)]
    await proxy.serve(BOOKS, *servers)
    for many in (3, 1, 2, 0):
        await proxy.serve(BOOKS, *servers[:many])
        expected = {"books-be": {one.address: ServerState.SERVING for one in servers[:many]}}
        await wait_until(lambda expected=expected: output.servers(proxy.haproxy.files.read()) == expected)
    assert (await proxy.apply("books")).changes == ()


async def test_a_refused_route_leaves_the_others_alone(proxy, origin, ask):
    server = await origin()
    await proxy.serve(Route("good", ("/good",)), server)
    # The grammar lets no such thing through; here it came another way.
    proxy.desired["bad"] = Backend(Route("bad", ("(unclosed",), path_type="path_reg"))
    proxy.desired["late"] = Backend.serving(Route("late", ("/late",)), [server.address])
    applied = await proxy.apply("bad", "late")
    assert applied.refused.keys() == {"bad"}
    assert "(unclosed" in applied.refused["bad"]
    assert {(await ask(proxy.port, path)).status for path in ("/good", "/late")} == {200}


async def test_a_changed_route_that_is_refused_serves_as_before(proxy, origin, ask):
    server = await origin()
    await proxy.serve(Route("books", ("/books",)), server)
    applied = await proxy.serve(Route("books", ("(unclosed",), path_type="path_reg"), server)
    assert applied.refused.keys() == {"books"}
    assert (await ask(proxy.port, "/books")).status == 200


async def test_a_server_that_someone_removed_by_hand_is_settled_by_a_reload(proxy, origin, ask):
    first, second = await origin("first"), await origin("second")
    await proxy.serve(BOOKS, first, second)
    name = f"books-be/{first.address}"
    await proxy.haproxy.runtime.ask(f"set server {name} state maint", f"del server {name}")
    applied = await proxy.serve(BOOKS, second)
    assert applied.reloaded
    assert (await ask(proxy.port, "/")).body == "second"


async def test_a_thousand_servers_are_added_without_a_reload(proxy, origin):
    server = await origin()
    await proxy.serve(BOOKS, server)
    reloads = proxy.applier.version
    many = [type(server.address)("127.0.1.1", port) for port in range(10001, 11001)]
    proxy.desired["books"] = Backend.serving(Route("books", ("/",)), many)
    applied = await proxy.apply("books")
    assert (len(applied.changes), proxy.applier.version) == (1001, reloads)
    assert len(await proxy.names()) >= 1000


async def test_a_server_that_haproxy_refuses_spoils_nothing_else(proxy, origin, ask, wait_until):
    server = await origin()
    await proxy.serve(BOOKS, server)
    good = proxy.desired["books"]

    proxy.desired["books"] = Backend.serving(BOOKS, [Address("127.0.0.1", 99999), server.address])
    assert "99999" in (await proxy.apply("books")).refused["books"]
    assert (await proxy.serve(Route("other", ("/other",)), server)).refused.keys() == {"books"}

    assert proxy.applier.running["books"] == good
    assert "99999" not in proxy.applier.text()
    for path in ("/", "/other"):
        assert (await ask(proxy.port, path)).status == 200


@pytest.mark.parametrize("path", ["/socket", "/stream", "/unbounded"])
@pytest.mark.parametrize("reload", [False, True], ids=["same-worker", "worker-of-before"])
async def test_a_stream_holds_a_drain_for_its_own_time_only(proxy, origin, visitor, path, reload):
    old, new = await origin("old"), await origin("new")
    await proxy.serve(BOOKS, old)
    async with visitor(proxy.port) as streaming:
        await streaming.send(path, Connection="Upgrade", Upgrade="echo")
        await streaming.reader.readuntil(b"\r\n\r\n")
        await proxy.serve(Route("books", ("/",), color="green") if reload else BOOKS, new)
        begin = time.monotonic()
        assert await proxy.applier.wait_idle("books", [old.address], Deadline(30), Deadline(0.5)) == 1
        assert 0.5 <= time.monotonic() - begin < 10
        # What came before the end may still be read, then there is an end.
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(streaming.reader.read(), 5)


@pytest.mark.parametrize("path", ["/slow", "/download"])
@pytest.mark.parametrize("reload", [False, True], ids=["same-worker", "worker-of-before"])
async def test_a_request_with_an_end_is_waited_for_longer_than_a_stream(proxy, origin, visitor, path, reload):
    old, new = await origin("old"), await origin("new")
    await proxy.serve(BOOKS, old)
    async with visitor(proxy.port) as slow, visitor(proxy.port) as streaming:
        for user, target in ((slow, path), (streaming, "/stream")):
            old.arrived.clear()
            await user.send(target)
            await old.arrived.wait()
        await streaming.reader.readuntil(b"data: 1")
        await proxy.serve(Route("books", ("/",), color="green") if reload else BOOKS, new)
        waiting = asyncio.create_task(proxy.applier.wait_idle("books", [old.address], Deadline(30), Deadline(0.2)))
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(streaming.reader.read(), 10)
        assert not waiting.done()
        old.release.set()
        assert (await slow.receive()).body == ("old" if path == "/slow" else "beginend")
        slow.writer.close()
        assert await waiting == 1


async def test_what_is_under_way_elsewhere_is_not_cut(proxy, origin, visitor):
    first, second = await origin("first"), await origin("second")
    await proxy.serve(BOOKS, first)
    await proxy.serve(Route("other", ("/other",)), second)
    async with visitor(proxy.port) as streaming:
        await streaming.send("/other/stream")
        await streaming.reader.readuntil(b"data: 1")
        assert await proxy.applier.wait_idle("books", [first.address], Deadline(5), Deadline(0)) == 0
        assert await proxy.haproxy.in_flight.cut_streams([f"books-be/{first.address}"]) == 0
        second.release.set()
        await streaming.reader.readuntil(b"data: 2")


async def test_what_speaks_http_2_is_asked_so_also_when_it_joins_at_run_time(proxy, ask, wait_until):
    said: dict[int, set[bytes]] = {}

    async def listen() -> tuple[asyncio.Server, SimpleNamespace]:
        async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.setdefault(port, set()).add(await reader.read(24))
            writer.close()

        server = await asyncio.start_server(record, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        return server, SimpleNamespace(address=Address("127.0.0.1", port))

    route = dataclasses.replace(BOOKS, proto="h2", skip_check=True)
    (first, one), (second, two) = await listen(), await listen()
    async with first, second:
        await proxy.serve(route, one)
        applied = await proxy.serve(route, one, two)
        assert not applied.reloaded
        # HAProxy tries each some more times before it answers for them.
        await asyncio.gather(*(ask(proxy.port, "/") for _ in range(4)))
    assert said == dict.fromkeys((one.address.port, two.address.port), {b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"})

"""What is called for is served: routes, instances, colors, drains."""

from __future__ import annotations

import asyncio
import json

import pytest

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import output
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME, ConflictError, NotRoutedError
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))


async def test_put_answers_when_the_route_serves_and_is_idempotent(daemon, origin, enter, ask):
    one, server = await daemon(), await origin("here")
    await enter(server)
    state = await one.proxy_service.put(BOOKS)
    assert (await ask(one.port, "/books")).body == "here"
    assert (state.route, state.applied, state.serving) == (BOOKS, RELOAD, (server.address,))
    assert set(state.timings) == {"read", "store", "apply"}
    version = one.proxy_service.state().version
    again = await one.proxy_service.put(BOOKS)
    assert (again.applied, again.version) == (NONE, state.version)
    assert one.proxy_service.state().version == version
    assert one.kinds() == ["route-put", "instance-up"]


async def test_a_put_that_races_a_delete_says_so(daemon, origin, enter, registry):
    one, server = await daemon(), await origin("here")
    await enter(server)
    proxy_service, others = one.proxy_service, []
    for _ in range(12):
        pair = [proxy_service.put(BOOKS), proxy_service.remove("books")]
        pair += [proxy_service.resume("books", [server.address])] if proxy_service.route("books") else []
        for outcome in await asyncio.gather(*pair, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ConflictError | NotRoutedError):
                others.append(outcome)
    assert others == []


async def test_instances_follow_the_registry_without_a_reload(daemon, origin, enter, registry, ask, wait_until):
    one, first, second = await daemon(), await origin("first"), await origin("second")
    await enter(first)
    await one.proxy_service.put(BOOKS)
    version = one.proxy_service.state().version
    identity = await enter(second)
    await wait_until(lambda: one.serving() == {first.address.port, second.address.port})
    assert {(await ask(one.port, "/books")).body for _ in range(8)} == {"first", "second"}
    await registry.deregister(identity)
    await wait_until(lambda: one.serving() == {first.address.port})
    assert {(await ask(one.port, "/books")).body for _ in range(8)} == {"first"}
    assert one.proxy_service.state().version == version
    assert one.kinds() == ["route-put", "instance-up", "instance-up", "in-rotation", "instance-down"]


async def test_no_user_is_sent_to_who_does_not_listen_yet(daemon, origin, enter, ask, wait_until):
    one, first, second = await daemon(), await origin("first"), await origin("second")
    await enter(first)
    await one.proxy_service.put(BOOKS)
    second.listens = False
    await enter(second)
    await wait_until(lambda: len(one.proxy_service.route("books").instances) == 2)
    assert {(await ask(one.port, "/books")).body for _ in range(20)} == {"first"}
    # Whoever asks for a change gets to hear of it when the new one serves, too.
    change = asyncio.ensure_future(one.proxy_service.put(Route("books", ("/books", "/novels"))))
    await asyncio.sleep(0.1)
    assert not change.done()
    second.listens = True
    assert {address.port for address in (await change).serving} == {first.address.port, second.address.port}
    assert {(await ask(one.port, "/books")).body for _ in range(8)} == {"first", "second"}


async def test_another_color_gets_the_users_when_it_listens(daemon, origin, enter, ask):
    one, blue, green = await daemon(), await origin("blue"), await origin("green")
    await enter(blue, "books-blue")
    await enter(green, "books-green")
    await one.proxy_service.put(Route("books", ("/books",), color="blue"))
    green.listens = False
    change = asyncio.ensure_future(one.proxy_service.put(Route("books", ("/books",), color="green")))
    await asyncio.sleep(0.5)
    assert not change.done()
    assert {(await ask(one.port, "/books")).body for _ in range(20)} == {"blue"}
    green.listens = True
    await change
    assert {(await ask(one.port, "/books")).body for _ in range(20)} == {"green"}


async def test_no_live_instance_is_refused_and_what_served_serves_on(daemon, origin, enter, registry, ask):
    one, server, sick = await daemon(), await origin("here"), await origin()
    with pytest.raises(ConflictError, match="no live instance of books: none is registered"):
        await one.proxy_service.put(BOOKS)
    assert one.proxy_service.route("books") is None
    await enter(server)
    await one.proxy_service.put(BOOKS)
    await enter(sick, "books-green", "critical")
    with pytest.raises(ConflictError, match=rf"no live instance of books-green: {sick.address} is critical"):
        await one.proxy_service.put(Route("books", ("/books",), color="green"))
    assert (await ask(one.port, "/books")).body == "here"
    assert one.proxy_service.route("books").route == BOOKS


async def test_an_empty_route_can_be_forced(daemon, origin, enter, ask, wait_until):
    one, server = await daemon(), await origin("late")
    state = await one.proxy_service.put(BOOKS, allow_empty=True)
    assert (state.applied, state.serving) == (RELOAD, ())
    assert (await ask(one.port, "/books")).status == 503
    await enter(server)
    await wait_until(one.serving)
    assert (await ask(one.port, "/books")).body == "late"


async def test_a_path_of_another_service_is_refused_and_taken_over_when_told(daemon, origin, enter, ask):
    one, other = await daemon(), Route("other", ("/x", "/books"))
    for service in ("books", "other"):
        await enter(await origin(service), service)
    await one.proxy_service.put(Route("books", ("/books", "/more")))
    with pytest.raises(ConflictError, match="/books of other belongs to the route of books"):
        await one.proxy_service.put(other)
    assert one.proxy_service.route("other") is None

    await one.proxy_service.put(other, take_over=True)
    assert [(await ask(one.port, path)).body for path in ("/books", "/more")] == ["other", "books"]
    assert one.proxy_service.route("books").route.paths == ("/more",)
    await one.proxy_service.put(Route("other", ("/more",)), take_over=True)
    assert one.proxy_service.route("books") is None


async def test_a_dry_run_tells_and_changes_nothing(daemon, origin, enter, registry):
    one, server = await daemon(), await origin()
    await enter(server)
    before = one.proxy_service.config()
    state = await one.proxy_service.put(BOOKS, dry_run=True)
    assert (state.applied, state.serving) == (RELOAD, (server.address,))
    assert "+backend books-be" in state.diff
    assert (one.proxy_service.config(), await registry.kv_get("jenkins-proxy/routes/books")) == (before, None)
    await one.proxy_service.put(BOOKS)
    assert (await one.proxy_service.put(BOOKS, dry_run=True)).applied == NONE


async def test_a_removal_is_shown_before_it_is_made(daemon, origin, enter):
    one = await daemon()
    await enter(await origin())
    with pytest.raises(NotRoutedError):
        one.proxy_service.removal("books")
    await one.proxy_service.put(BOOKS)
    assert "-backend books-be" in one.proxy_service.removal("books").splitlines()
    assert one.proxy_service.route("books").serving


async def test_a_route_that_haproxy_refuses_is_not_stored(daemon, origin, enter, registry):
    one = await daemon()
    await enter(await origin())
    with pytest.raises(UsageError, match=r"HAProxy refuses the configuration: .*\(unclosed"):
        await one.proxy_service.put(Route("books", ("(unclosed",), path_type="path_reg"))
    assert await registry.kv_get("jenkins-proxy/routes/books") is None


async def test_a_broken_entry_in_the_store_harms_no_other_route(
    daemon, origin, enter, registry, ask, wait_until, mocker
):
    """Nothing is known that is taken for a route and HAProxy refuses: that one is refused here in its place."""
    one = await daemon()
    check = one.haproxy.check

    async def refuse(rendered) -> None:
        await check(rendered)
        if "/refused" in str(rendered):
            raise UsageError("HAProxy refuses the configuration: because")

    mocker.patch.object(one.haproxy, "check", refuse)
    await enter(await origin("good"))
    await one.proxy_service.put(BOOKS)
    await registry.kv_put("jenkins-proxy/routes/evil", b'{"service": "evil", "paths": ["/\\nbackend evil"]}')
    refused = {"service": "refused", "paths": ["/refused"]}
    await registry.kv_put("jenkins-proxy/routes/list", b"[]")
    await registry.kv_put("jenkins-proxy/routes/refused", json.dumps(refused).encode())
    await wait_until(lambda: {"route-refused"} <= set(one.kinds("evil")) & set(one.kinds("refused")))
    assert (await ask(one.port, "/books")).body == "good"
    assert "refuses the configuration" in one.proxy_service.route("refused").refused
    assert "jenkins-proxy/routes/evil holds no route" in one.proxy_service.state().problem
    await enter(await origin(), "more")
    assert (await one.proxy_service.put(Route("more", ("/more",)))).serving


async def test_drain_answers_when_nothing_is_in_flight(daemon, origin, enter, visitor, ask):
    one, old, new = await daemon(), await origin("old"), await origin("new")
    await enter(old)
    await one.proxy_service.put(BOOKS)
    # It was asked before it joined.
    old.arrived.clear()
    async with visitor(one.port) as slow:
        await slow.send("/books/slow")
        await old.arrived.wait()
        await enter(new)
        with pytest.raises(ProxyError, match="requests are still in flight"):
            await one.proxy_service.drain("books", [old.address], 0.3, 5)
        assert {(await ask(one.port, "/books")).body for _ in range(4)} <= {"new"} or one.serving() == set()
        drained = asyncio.create_task(one.proxy_service.drain("books", [old.address], 20, 5))
        old.release.set()
        assert (await slow.receive()).body == "old"
    state = await drained
    assert [
        (served.serving, served.draining) for served in state.instances if served.instance.address == old.address
    ] == [(False, True)]
    state = await one.proxy_service.resume("books", [old.address])
    assert (old.address in state.serving, state.applied) == (True, RUNTIME)


async def test_a_mark_does_not_outlive_its_instance(daemon, origin, enter, registry, wait_until):
    one, server = await daemon(), await origin()
    await enter(await origin())
    identity = await enter(server)
    await one.proxy_service.put(BOOKS)
    await one.proxy_service.drain("books", [server.address], 5, 5)
    await registry.deregister(identity)
    await wait_until(lambda: not one.controller._desired.drained_ids("books"))
    await enter(server)
    await wait_until(lambda: server.address.port in one.serving())


async def test_who_has_no_route_cannot_be_drained(daemon):
    one = await daemon()
    for call in (one.proxy_service.drain("none", [Address("10.0.0.1", 1)], 1, 1), one.proxy_service.resume("none", [])):
        with pytest.raises(NotRoutedError, match="there is no route of none"):
            await call


async def test_a_removed_route_is_gone_everywhere(daemon, origin, enter, registry, ask):
    one = await daemon()
    await enter(await origin())
    await one.proxy_service.put(BOOKS)
    assert (await one.proxy_service.remove("books")).removed
    assert (await ask(one.port, "/books")).body == "jenkins-proxy: no route\n"
    assert await registry.kv_get("jenkins-proxy/routes/books") is None
    assert not (await one.proxy_service.remove("books")).removed


async def test_many_changes_at_once_are_few_reloads(daemon, origin, enter):
    one, server = await daemon(), await origin()
    routes = [Route(f"s{number}", (f"/s{number}",)) for number in range(20)]
    for route in routes:
        await enter(server, route.service)
    version = one.proxy_service.state().version
    states = await asyncio.gather(*map(one.proxy_service.put, routes))
    assert all(state.serving for state in states)
    assert one.proxy_service.state().version - version <= 10


async def test_critical_instances_leave_but_not_the_last_ones(daemon, origin, enter, registry, wait_until):
    one, first, second = await daemon(), await origin(), await origin()
    identities = [await enter(server, status="passing") for server in (first, second)]
    await one.proxy_service.put(BOOKS)
    await registry.update_check(identities[0], "critical", "down")
    await wait_until(lambda: one.serving() == {second.address.port})
    await registry.update_check(identities[1], "critical", "down")
    await wait_until(lambda: one.statuses() == {"critical"})
    assert one.serving() == {second.address.port}
    await registry.update_check(identities[0], "warning", "slow")
    await wait_until(lambda: one.serving() == {first.address.port})


async def test_instances_with_host_names(daemon, origin, enter):
    one, server, lost = await daemon(), await origin(), await origin()
    await enter(lost, host="no-such-host.invalid")
    with pytest.raises(ConflictError, match="has an unknown host name"):
        await one.proxy_service.put(BOOKS)
    await enter(server, host="localhost")
    state = await one.proxy_service.put(BOOKS)
    assert {(served.instance.address.host, served.serving) for served in state.instances} == {
        ("localhost", True),
        ("no-such-host.invalid", False),
    }


async def test_a_host_outside_the_registry(daemon, origin, ask):
    one, server = await daemon(), await origin("outside")
    state = await one.proxy_service.put(Route("far", ("/far",), outbound_hostname=f"localhost:{server.address.port}"))
    assert [served.serving for served in state.instances] == [True]
    assert (await ask(one.port, "/far")).body == "outside"


async def test_reload_when_asked_to(daemon):
    one = await daemon()
    version = one.proxy_service.state().version
    await one.proxy_service.reload()
    assert one.proxy_service.state().version == version + 1


async def test_switching_the_color_and_stopping_the_old_one_loses_nothing(
    daemon, origin, enter, registry, visitor, ask, wait_until
):
    """What a blue-green deploy does to the proxy: put, drain, stop; with users who keep their connections."""
    one, blue = await daemon(), await origin("blue")
    identity = await enter(blue, "books-blue")
    await one.proxy_service.put(Route("books", ("/books",), color="blue"))
    bodies: list[str] = []
    stopped = asyncio.Event()

    async def use() -> None:
        async with visitor(one.port) as user:
            while not stopped.is_set():
                answer = await user.ask("/books")
                bodies.append(answer.body)
                if answer.headers.get("connection") == "close":
                    return

    async def come_back() -> None:
        while not stopped.is_set():
            await use()

    users = [asyncio.create_task(come_back()) for _ in range(4)]
    colors = ["green", "blue", "green"]
    for color in colors:
        server = await origin(color)
        new_identity = await enter(server, f"books-{color}")
        await one.proxy_service.put(Route("books", ("/books",), color=color))
        await one.proxy_service.drain("books", [blue.address], 30, 5)
        await blue.stop()
        await registry.deregister(identity)
        sent = len(bodies)
        await wait_until(lambda sent=sent, color=color: color in bodies[sent:])
        blue, identity = server, new_identity
    stopped.set()
    await asyncio.gather(*users)
    assert set(bodies) == {"blue", "green"}


async def test_a_new_color_serves_its_own_instances_even_when_the_watch_is_faster_than_the_stores_answer(
    daemon, origin, enter, wait_until, monkeypatch
):
    one, blue, green = await daemon(), await origin("blue"), await origin("green")
    await enter(blue, "books-blue")
    await enter(green, "books-green")
    await one.proxy_service.put(Route("books", ("/books",), color="blue"))
    write, served = one.controller._store.put_route, []

    async def slowly(route: Route) -> int:
        version = await write(route)
        await wait_until(lambda: one.controller._applier.running["books"].route == route)
        served.append(one.serving())
        return version

    monkeypatch.setattr(one.controller._store, "put_route", slowly)
    await one.proxy_service.put(Route("books", ("/books",), color="green"))
    assert served == [{green.address.port}]


async def test_who_leaves_haproxy_to_the_next_start_writes_what_it_runs(daemon, origin, enter, wait_until, mocker):
    """The files are behind: nobody else writes them."""
    mocker.patch.object(Applier, "run_writer", lambda _self: asyncio.Event().wait())
    one, first, second = await daemon(timing=Timing(haproxy_stop=0.2)), await origin(), await origin()
    await enter(first)
    await one.proxy_service.put(BOOKS)
    await enter(second)
    await wait_until(lambda: one.serving() == {first.address.port, second.address.port})

    def written() -> set[int]:
        return {address.port for address in output.servers(one.haproxy.files.read())["books-be"]}

    assert written() == {first.address.port}
    await one.controller.leave()
    assert written() == {first.address.port, second.address.port}

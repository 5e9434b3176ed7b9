"""What is served while registry or HAProxy is lost, and beside other proxies."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.models import NONE
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))


async def test_two_proxies_converge(daemon, origin, enter, registry, ask, wait_until):
    one, two = await daemon("one"), await daemon("two")
    await enter(await origin("here"))
    await one.proxy_service.put(BOOKS)
    await wait_until(two.serving)
    assert (await ask(two.port, "/books")).body == "here"
    state = await two.proxy_service.put(BOOKS)
    assert (state.applied, state.version) == (NONE, one.proxy_service.route("books").version)
    pairs, _ = await registry.kv_watch("jenkins-proxy/proxies/")
    published = {pair.key: json.loads(pair.value) for pair in pairs}
    assert set(published) == {"jenkins-proxy/proxies/one", "jenkins-proxy/proxies/two"}
    await two.proxy_service.remove("books")
    await wait_until(lambda: one.proxy_service.route("books") is None)


async def test_without_the_registry_it_serves_on_says_so_and_refuses_changes(
    daemon, mortal, origin, enter, ask, wait_until
):
    one = await daemon()
    await enter(await origin("here"))
    await one.proxy_service.put(BOOKS)
    mortal.kill()
    await wait_until(lambda: one.proxy_service.state().registry_lost_since)
    assert "no registry answers at" in one.proxy_service.state().problem
    assert (await ask(one.port, "/books")).body == "here"
    with pytest.raises(RegistryError, match="no registry answers at"):
        await one.proxy_service.put(Route("books", ("/other",)))
    assert one.proxy_service.route("books").route == BOOKS
    assert [event.kind for event in one.events].count("registry-lost") == 1


async def test_a_start_without_the_registry_serves_what_served_before(daemon, mortal, origin, enter, ask, wait_until):
    one, server = await daemon(), await origin("here")
    await enter(server)
    await one.proxy_service.put(BOOKS)
    await wait_until(
        lambda: str(server.address) in one.proxy_service.config() and (one.folder / "routes.json").exists()
    )
    key = one.proxy_service.probe_key
    await one.stop()
    mortal.kill()
    again = await daemon()
    assert (await ask(again.port, "/books")).body == "here"
    await wait_until(lambda: again.proxy_service.state().registry_lost_since)
    assert again.proxy_service.probe_key == key


async def test_a_registry_that_lost_its_data_gets_the_routes_back_and_takes_no_server_out(
    daemon, mortal, origin, enter, ask, wait_until, registry
):
    one, server = await daemon(), await origin("here")
    await enter(server)
    await one.proxy_service.put(BOOKS)
    mortal.kill()
    await wait_until(lambda: one.proxy_service.state().registry_lost_since)
    empty = await asyncio.create_subprocess_exec(
        *mortal.args, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_until(lambda: one.proxy_service.state().registry_lost_since is None)
        while not await registry.kv_get("jenkins-proxy/routes/books"):  # noqa: ASYNC110 - Consul has no event for us
            await asyncio.sleep(0.02)
        assert (await ask(one.port, "/books")).body == "here"
        await wait_until(lambda: "route-restored" in one.kinds())
        other = await origin("again")
        await enter(other)
        await wait_until(lambda: one.serving() == {other.address.port})
    finally:
        empty.kill()
        await empty.wait()


@pytest.mark.parametrize("first", ["one", "two"])
async def test_a_wiped_registry_is_not_given_back_what_is_older(daemon, registry, wait_until, first):
    """``two`` was down while a route was removed and another one changed: who is there first restores."""
    one, two = await daemon("one"), await daemon("two")
    users, newer = Route("users", ("/users",)), Route("books", ("/newer",))
    for route in (BOOKS, users):
        await one.proxy_service.put(route, allow_empty=True)
    await wait_until(lambda: two.proxy_service.route("users") and two.proxy_service.route("books"))
    await two.stop()
    await one.proxy_service.remove("users")
    await one.proxy_service.put(newer, allow_empty=True)
    await asyncio.sleep(1.2)  # until the watch has told the generations, which are kept on disk
    assert one.kinds("users") == ["route-put", "route-removed"], "what is removed as usual is told once"
    if first == "two":
        await one.stop()
    await registry.kv_delete("jenkins-proxy/", recurse=True)
    two = await daemon("two")
    if first == "two":
        await wait_until(lambda: "route-restored" in two.kinds("users"))
        one = await daemon("one")
    for each in (one, two):
        await wait_until(
            lambda each=each: (
                each.proxy_service.route("books").route == newer and each.proxy_service.route("users") is None
            )
        )
    while await registry.kv_get("jenkins-proxy/routes/users"):  # noqa: ASYNC110 - Consul has no event for us
        await asyncio.sleep(0.02)


async def test_after_a_while_an_empty_answer_is_believed(daemon, origin, enter, registry, wait_until):
    one = await daemon(timing=Timing(empty_grace=0.0))
    identity = await enter(await origin())
    await one.proxy_service.put(BOOKS)
    await registry.deregister(identity)
    await wait_until(lambda: not one.serving())


@pytest.mark.parametrize("grace", [0.5, 600.0])
async def test_for_a_while_an_empty_answer_is_not_believed(daemon, origin, enter, registry, wait_until, grace):
    one, server = await daemon(timing=Timing(empty_grace=grace)), await origin()
    identity = await enter(server)
    await one.proxy_service.put(BOOKS)
    await registry.deregister(identity)
    if grace < 1:
        await wait_until(lambda: not one.serving())
    else:
        await wait_until(lambda: one.controller._discovery.instances.doubted)
        assert one.serving() == {server.address.port}


async def test_a_killed_haproxy_serves_again_with_what_is_known_now(daemon, origin, enter, ask, wait_until):
    one, first = await daemon(), await origin("first")
    await enter(first)
    await one.proxy_service.put(BOOKS)
    os.kill(one.haproxy.master.pid, signal.SIGKILL)
    second = await origin("second")
    await enter(second)
    # The last round before may have failed: it is one after the death that counts.
    await wait_until(lambda: " reload " in " ".join((*one.kinds(""), "")).partition("haproxy-died")[2])
    await wait_until(lambda: one.serving() == {first.address.port, second.address.port})
    assert {(await ask(one.port, "/books")).body for _ in range(8)} == {"first", "second"}
    assert one.proxy_service.state().serving


async def test_on_a_full_disk_a_killed_haproxy_serves_again_what_it_should(
    daemon, origin, enter, ask, registry, wait_until, monkeypatch
):
    """Its files have what served when there was room."""
    one, old, new = await daemon(timing=Timing(empty_grace=0.0)), await origin("old"), await origin("new")
    gone = await enter(old)
    await one.proxy_service.put(BOOKS)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    await enter(new)
    await registry.deregister(gone)
    await wait_until(lambda: one.serving() == {new.address.port})
    os.kill(one.haproxy.master.pid, signal.SIGKILL)
    await wait_until(lambda: "haproxy-died" in one.kinds("") and one.haproxy.serving)
    async with asyncio.timeout(20):
        while (await ask(one.port, "/books")).body != "new":  # noqa: ASYNC110 - HAProxy has no event for us
            await asyncio.sleep(0.05)


async def test_a_part_that_dies_is_told_and_counts_until_it_runs_again(daemon, wait_until):
    one = await daemon(timing=Timing(restart_min=0.3, restart_max=0.3))
    runs = []

    async def part() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise KeyError("a bug")
        await asyncio.sleep(3600)

    assert one.proxy_service.state().complete
    one.controller.tasks.keep("the watch of nothing", part)
    await wait_until(lambda: not one.proxy_service.state().complete)
    assert "the watch of nothing died: KeyError('a bug')" in one.proxy_service.state().problem
    await wait_until(lambda: one.proxy_service.state().complete)
    died = next(event for event in one.events if event.kind == "part-died")
    assert died.detail == "the watch of nothing, which is started again: KeyError('a bug')"
    assert len(runs) == 2


async def test_the_others_see_a_proxy_leave(daemon, registry):
    one = await daemon("short")
    while not await registry.kv_get("jenkins-proxy/proxies/short"):  # noqa: ASYNC110 - Consul has no event for us
        await asyncio.sleep(0.02)
    await one.stop()
    assert await registry.kv_get("jenkins-proxy/proxies/short") is None


async def test_proxies_without_a_change_write_nothing(daemon, registry):
    await daemon("one")
    await daemon("two")
    pairs, index = await registry.kv_watch("jenkins-proxy/proxies/")
    for _ in range(50):
        before = index
        pairs, index = await registry.kv_watch("jenkins-proxy/proxies/", index=before, wait=0.5)
        if len(pairs) == 2 and index == before:
            return
    pytest.fail("their documents change all the time")

"""Counts of users over several proxies on one registry, and drains that do not wait for streams."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.models import NotCountedError

BOOKS = Route("books", ("/books",))


async def test_counts_of_all_proxies_are_summed(daemon, origin, enter, registry, ask, wait_until):
    one, two = await daemon("one"), await daemon("two")
    await enter(await origin())
    await one.proxy_service.put(BOOKS)
    await wait_until(two.serving)
    await ask(one.port, "/books")
    await one.controller.counting.start("books", "a")
    for proxy, many in ((one, 3), (two, 4)):
        for _ in range(many):
            await ask(proxy.port, "/books")
    # A change of a route, which reloads both.
    await one.proxy_service.put(Route("books", ("/books", "/more")))
    await ask(one.port, "/more/error")
    # Also the proxy that nobody called, and a second time, as when an answer was lost.
    for _ in range(2):
        counts = await two.controller.counting.stop("books", "a")
        assert (counts.requests, counts.failed, counts.exact) == (8, 1, True)
    said = [event.detail for event in two.events if event.kind == "users-counted"]
    assert [text.partition(", p99")[0] for text in said] == ["8 requests, 1 failed"]
    assert await registry.kv_get("jenkins-proxy/counts/books") is None
    with pytest.raises(NotCountedError):
        await one.controller.counting.counts("books")
    with pytest.raises(NotCountedError):
        await one.controller.counting.stop("books", "other")


async def test_a_count_takes_the_place_of_one_that_its_caller_left(daemon, origin, enter, ask, until):
    one = await daemon()
    await enter(await origin())
    await one.proxy_service.put(BOOKS)
    for identity in ("left", "left", "own"):
        await one.controller.counting.start("books", identity)
        await ask(one.port, "/books")

    async def is_counted() -> bool:
        return (await one.controller.counting.counts("books")).requests == 1

    await until(is_counted)
    # Whoever left the first one comes late: it ends nothing of the other's.
    assert (await one.controller.counting.stop("books", "left")).requests == 2
    counts = await one.controller.counting.stop("books", "own")
    assert (counts.requests, counts.exact) == (1, True)


async def test_running_counts_are_published(daemon, origin, enter, registry, ask, until):
    one = await daemon()
    await enter(await origin())
    await one.proxy_service.put(BOOKS)
    await one.controller.counting.start("books", "a")
    await ask(one.port, "/books")

    async def published() -> dict:
        pair = await registry.kv_get("jenkins-proxy/proxies/one")
        return json.loads(pair.value)["counts"]["a"]["requests"] == 1

    await until(published)
    await one.controller.counting.stop("books", "a")


async def test_a_proxy_that_went_or_came_meanwhile_makes_it_at_least(daemon, origin, enter, ask, wait_until):
    one, two = await daemon("one"), await daemon("two")
    await enter(await origin())
    await one.proxy_service.put(BOOKS)
    await one.controller.counting.start("books", "a")
    await ask(one.port, "/books")
    await two.stop()
    counts = await one.controller.counting.stop("books", "a")
    assert (counts.requests, counts.exact) == (1, False)

    await one.controller.counting.start("books", "b")
    again = await daemon("two")
    await wait_until(again.serving)
    await wait_until(lambda: again.controller.counting._running)
    await ask(again.port, "/books")
    counts = await one.controller.counting.stop("books", "b")
    assert (counts.requests, counts.exact) == (1, False)


async def test_an_open_stream_holds_a_drain_for_its_own_time_only(daemon, origin, enter, visitor):
    one, old, new = await daemon(), await origin("old"), await origin("new")
    await enter(old)
    await one.proxy_service.put(BOOKS)
    async with visitor(one.port) as streaming, visitor(one.port) as socket:
        await streaming.send("/books/stream")
        await streaming.reader.readuntil(b"data: 1")
        await socket.send("/books/socket", Connection="Upgrade", Upgrade="echo")
        assert (await socket.receive()).status == 101
        await enter(new)
        await one.proxy_service.put(BOOKS)
        begin = time.monotonic()
        state = await one.proxy_service.drain("books", [old.address], 30, 0.5)
        assert state.cut == 2
        assert time.monotonic() - begin < 10
        assert await asyncio.wait_for(socket.reader.read(), 5) == b""

"""Routes and drains in a real registry's key-value store, and on disk."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.holds import Hold, Holder, Holds, Phase
from jenkins_proxy.proxy.route_cache import RouteCache
from jenkins_proxy.proxy.route_store import (
    DRAINS,
    PROXIES,
    ROUTES,
    RouteStore,
    StoredRoute,
    parse_drains,
    parse_routes,
)

BOOKS = Route("store-books", ("/books",), ("example.com",))
HERE = Address("10.0.0.1", 32768)


@pytest.fixture
async def registry(consul_url):
    async with AsyncConsul(consul_url) as registry:
        yield registry
        for prefix in (ROUTES, DRAINS, PROXIES):
            await registry.kv_delete(prefix + "store-", recurse=True)


@pytest.fixture
def store(registry):
    return RouteStore(registry)


async def test_a_route_comes_back_as_it_went(store):
    put = await store.put_route(BOOKS)
    stored, index = await store.routes()
    assert stored.routes[BOOKS.service] == put
    assert stored.index == index >= put.version


async def test_the_same_route_again_is_no_new_version(store):
    assert await store.put_route(BOOKS) == await store.put_route(BOOKS)


async def test_writers_at_once_all_return_and_the_store_holds_one_of_theirs(store):
    routes = [Route("store-many", (f"/{number}",)) for number in range(8)]
    await asyncio.gather(*(store.put_route(route) for route in routes))
    stored, _index = await store.routes()
    assert stored.routes["store-many"].route in routes


async def test_each_route_has_a_generation_and_what_is_removed_is_known_for_a_day(registry):
    now = 1_000_000.0
    store = RouteStore(registry, lambda: now)

    async def generation() -> int:
        return (await store.routes())[0].routes[BOOKS.service].generation

    async def removed() -> int:
        return (await store.routes())[0].removed.get(BOOKS.service, 0)

    first = (await store.put_route(BOOKS)).generation
    assert first == await generation()
    assert first == 1_000_000_000
    now -= 10.0  # the clock of another machine
    other = dataclasses.replace(BOOKS, paths=("/other",))
    await store.put_route(other)
    assert await generation() == first + 1
    assert (await store.put_route(BOOKS, generation=first)).route == other
    assert (await store.routes())[0].routes[BOOKS.service].route == other, "what is given back is older"
    await store.remove_route(BOOKS.service)
    assert await removed() == first + 1
    await store.put_route(BOOKS)
    assert await generation() == first + 2
    now += 86_500.0
    await store.put_removed({})
    assert await removed() == 0


async def test_a_change_wakes_who_watches(store):
    _stored, index = await store.routes()
    watch = asyncio.create_task(store.routes(index=index, wait=60))
    await store.put_route(BOOKS)
    read, _index = await asyncio.wait_for(watch, 20)
    assert read.routes[BOOKS.service].route == BOOKS


async def test_a_removed_route_takes_its_drains_with_it(store):
    await store.put_route(BOOKS)
    await store.change_drains(BOOKS.service, add={HERE: "id"})
    assert await store.remove_route(BOOKS.service)
    assert not await store.remove_route(BOOKS.service)
    assert BOOKS.service not in (await store.routes())[0].routes
    assert BOOKS.service not in (await store.drains())[0]


async def test_a_removal_says_which_version_it_took_away(store, registry, mocker):
    await store.put_route(BOOKS)
    read, later = registry.kv_get, dataclasses.replace(BOOKS, paths=("/later",))
    versions: list[int] = []

    async def get(key: str):
        """Somebody else is between the reading and what is made of it."""
        pair = await read(key)
        if not versions and key.endswith(BOOKS.service):
            versions.append(0)
            versions.append((await store.put_route(later)).version)
        return pair

    mocker.patch.object(registry, "kv_get", get)
    removed = await store.remove_route(BOOKS.service)
    assert removed and removed[0] == versions[-1]
    assert BOOKS.service not in (await store.routes())[0].routes


async def test_marks_of_several_who_drain_at_once_are_all_kept(store):
    many = [Address("10.0.0.1", port) for port in range(1, 6)]
    await asyncio.gather(*(store.change_drains("store-books", add={one: f"id-{one.port}"}) for one in many))
    drains, _index = await store.drains()
    assert drains["store-books"] == {one: f"id-{one.port}" for one in many}
    assert await store.change_drains("store-books", remove=many[1:]) == ({many[0]: "id-1"}, (await store.drains())[1])


async def test_what_a_proxy_serves_goes_with_its_session(store, registry):
    session = await registry.session_create("store-test", 30)
    assert await store.publish("store-one", session, {"version": 3})
    assert json.loads((await registry.kv_get(PROXIES + "store-one")).value) == {"version": 3}
    await registry.session_destroy(session)
    assert await registry.kv_get(PROXIES + "store-one") is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b'{"service": "x"}', "neither a path nor a domain"),
        (b'{"service": "other", "paths": ["/"]}', "it is a route of other"),
        (b'{"service": "x", "paths": ["/a b"]}', "is not allowed"),
        (b'{"service": "x", "paths": "/a"}', "a list"),
        (b'{"paths": ["/"]}', "service"),
        (b'{"service": "x", "paths": ["/\\nbackend evil"]}', "is not allowed"),
    ],
)
def test_what_is_no_route_is_told_and_leaves_the_others(value, why):
    good = KvPair(ROUTES + "good", json.dumps(Route("good", ("/",)).as_dict()).encode(), 7)
    stored = parse_routes([KvPair(ROUTES + "x", value, 6), good], 9)
    assert stored.routes == {"good": StoredRoute(Route("good", ("/",)), 7)}
    assert why in stored.bad["x"]


@pytest.mark.parametrize("value", [b"", b"[]", b"7", b'{"nowhere": "id"}', b'{"10.0.0.1:99999": "id"}', b"[" * 100_000])
def test_what_is_no_mark_is_left_out(value):
    assert parse_drains(value) == {}


async def test_the_copy_on_disk_comes_back(tmp_path):
    stored = {BOOKS.service: StoredRoute(BOOKS, 12, 5)}
    drains = {BOOKS.service: {HERE: "id"}}
    hold = Hold("0123abcd", "ab" * 32, BOOKS, Holder("me@host:1"), 1.0, 2.0, (HERE,), (HERE,), Phase.PROMOTED, 13)
    holds = Holds({BOOKS.service: hold}, store_id="second")
    await RouteCache(tmp_path / "routes.json").save(stored, drains, "first", holds, {"users": 8})
    back, drained_ids, holds_back = RouteCache(tmp_path / "routes.json").read()
    assert (back.routes, drained_ids, back.store_id) == (stored, drains, "first")
    assert (back.routes[BOOKS.service].generation, back.removed) == (5, {"users": 8})
    assert (holds_back, holds_back.holds[BOOKS.service].version) == (holds, 13)
    assert oct((tmp_path / "routes.json").stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"routes": []}', '{"routes": {"x": 1}, "drains": {}}'])
def test_a_copy_that_cannot_be_read_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "routes.json").write_text(text)
    back, drained_ids, holds = RouteCache(tmp_path / "routes.json").read()
    assert (dict(back.routes), dict(drained_ids), dict(holds.holds)) == ({}, {}, {})


async def test_a_full_disk_leaves_the_copy_of_before(tmp_path, monkeypatch):
    copy = RouteCache(tmp_path / "routes.json")
    await copy.save({BOOKS.service: StoredRoute(BOOKS, 12)}, {}, "", Holds())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        await copy.save({}, {}, "", Holds())
    assert list(RouteCache(tmp_path / "routes.json").read()[0].routes) == [BOOKS.service]

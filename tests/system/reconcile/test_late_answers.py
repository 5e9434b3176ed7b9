"""A late answer of the registry is older than what its watch has reported since, and does not come to serve."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.models import ConflictError

BOOKS = Route("books", ("/books",))


class Late:
    """The next call of a method with a key: it is answered, and its caller has the answer once it is let go."""

    def __init__(self, registry, method: str, key: str) -> None:
        self._answer = getattr(registry, method)
        self._key = key
        self.answered, self.let_go = asyncio.Event(), asyncio.Event()
        setattr(registry, method, self)

    async def __call__(self, key, *arguments, **options):
        answer = await self._answer(key, *arguments, **options)
        # A watch is another call.
        if key == self._key and not options.get("wait") and not self.answered.is_set():
            self.answered.set()
            await self.let_go.wait()
        return answer


@pytest.fixture
async def two(daemon, origin, enter):
    """A daemon that serves two instances of ``books``, and the IDs of their entries by their ports."""
    one = await daemon()
    servers = [await origin(name) for name in ("first", "second")]
    entries = {server.address.port: await enter(server) for server in servers}
    await one.proxy_service.put(BOOKS)
    assert one.serving() == set(entries)
    return one, entries


@pytest.mark.parametrize("when", ["read", "stored"])
async def test_what_left_while_a_route_is_put_does_not_come_back(two, registry, wait_until, when):
    one, entries = two
    port, gone = next(iter(entries.items()))
    late = Late(one.registry, *(("instances", "books") if when == "read" else ("kv_put", "jenkins-proxy/routes/books")))
    putting = asyncio.create_task(one.proxy_service.put(Route("books", ("/other",))))
    await late.answered.wait()
    await registry.deregister(gone)
    await wait_until(lambda: one.serving() == set(entries) - {port})
    late.let_go.set()
    await putting
    await asyncio.sleep(0.2)
    assert one.serving() == set(entries) - {port}


async def test_a_put_that_meets_a_removal_says_so_and_leaves_nothing(two, registry, wait_until):
    one, _entries = two
    late = Late(one.registry, "kv_put", "jenkins-proxy/routes/books")
    putting = asyncio.create_task(one.proxy_service.put(Route("books", ("/other",))))
    await late.answered.wait()
    await one.proxy_service.remove("books")
    await asyncio.sleep(0.2)  # its watch has reported that
    late.let_go.set()
    with pytest.raises(ConflictError, match="the route of books was removed while it was changed"):
        await putting
    assert one.proxy_service.route("books") is None
    while await registry.kv_get("jenkins-proxy/routes/books"):  # noqa: ASYNC110 - Consul has no event for us
        await asyncio.sleep(0.05)

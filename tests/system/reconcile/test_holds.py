"""Holds with a real HAProxy and a real Consul: who meets users, and who only requests with the key."""

from __future__ import annotations

import hashlib

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.hold_service import HoldRequest
from jenkins_proxy.proxy.holds import Holder
from jenkins_proxy.proxy.models import NONE, RUNTIME
from jenkins_proxy.proxy.reconcile.peers import Progress

BOOKS = Route("books", ("/books",))
KEY = "the-key-of-a-deploy"
HOLDER = Holder("me@agent:7", "https://jenkins/job/books/7/")


def request(route: Route = BOOKS, *, key: str = KEY, timeout: float = 600.0, **more) -> HoldRequest:
    return HoldRequest(route, hashlib.sha256(key.encode()).hexdigest(), HOLDER, timeout, **more)


@pytest.fixture
def keyed(ask):
    """``await keyed(port)`` is a request with the key; ``pick`` names an instance."""

    async def send(port: int, path: str = "/books", *, key: str = KEY, pick: object = None, **headers):
        picked = {"X_Jenkins_Proxy_Instance": str(pick)} if pick else {}
        return await ask(port, path, X_Jenkins_Proxy_Candidate=key, **picked, **headers)

    return send


@pytest.fixture
async def held(daemon, origin, enter, wait_until):
    """A daemon with an old instance that serves, a hold, and two candidates."""

    class Held:
        async def begin(self, route: Route = BOOKS, **more) -> None:
            self.daemon = await daemon()
            self.holds = self.daemon.controller.holds
            self.old = await origin("old")
            await enter(self.old)
            await self.daemon.proxy_service.put(BOOKS)
            self.hold = (await self.holds.begin(request(route, **more))).hold
            self.new = [await origin(f"new{number}") for number in range(2)]
            for one in self.new:
                await enter(one, route.registry_name)
            await wait_until(lambda: self.states() == {"old": "serving", "new0": "candidate", "new1": "candidate"})

        @property
        def port(self) -> int:
            return self.daemon.port

        @property
        def addresses(self) -> list[Address]:
            return [one.address for one in self.new]

        def states(self) -> dict[str, str]:
            names = {one.address: one.name for one in (self.old, *getattr(self, "new", ()))}
            served = self.daemon.proxy_service.route("books").instances
            return {names[one.instance.address]: str(one.state) for one in served}

        async def promote(self, *keep: Address):
            return await self.holds.promote("books", self.hold.id, self.addresses, keep, 5)

    return Held()


async def bodies(ask, port: int, count: int = 20, path: str = "/books") -> set[str]:
    return {(await ask(port, path)).body for _ in range(count)}


async def test_users_meet_no_candidate_and_the_key_leads_to_each(held, ask, keyed):
    await held.begin()
    version = held.daemon.proxy_service.state().version
    assert await bodies(ask, held.port, 60) == {"old"}
    assert {(await keyed(held.port)).body for _ in range(40)} == {"new0", "new1"}
    for one in held.new:
        answers = [await keyed(held.port, pick=one.address) for _ in range(5)]
        assert {answer.body for answer in answers} == {one.name}
        assert {answer.headers["x-jenkins-proxy-instance"] for answer in answers} == {str(one.address)}
    assert held.daemon.proxy_service.state().version == version + 0, "the same route needs no reload"
    assert "old" not in {(await keyed(held.port, pick=held.old.address)).body}
    assert (await keyed(held.port, pick=held.old.address)).status == 503


async def test_promote_switches_all_and_an_end_keeps_it(held, ask, keyed, registry):
    await held.begin()
    version = held.daemon.proxy_service.state().version
    state = await held.promote()
    assert (state.applied, state.proxies) == (RUNTIME, {"one": Progress.SERVES})
    assert await bodies(ask, held.port) == {"new0", "new1"}
    assert (await keyed(held.port, pick=held.new[0].address)).body == "new0"
    ended = await held.holds.end("books", held.hold.id)
    assert (ended.hold, ended.applied) == (None, RUNTIME)
    assert held.daemon.proxy_service.state().version == version
    assert (await held.holds.end("books", held.hold.id)).applied == NONE
    assert await registry.kv_get("jenkins-proxy/holds/books") is None

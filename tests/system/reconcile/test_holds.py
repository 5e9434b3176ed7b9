"""Holds with a real HAProxy and a real Consul: who meets users, and who only requests with the key."""

from __future__ import annotations

import asyncio
import collections
import hashlib
import json
import os
import signal

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.holds import Holder, Phase
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME, ConflictError, InstanceState, NotRoutedError, Progress
from jenkins_proxy.proxy.service.hold_service import HoldRequest
from jenkins_proxy.proxy.timing import DEFAULT, Timing

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
        async def begin(self, route: Route = BOOKS, timing: Timing = DEFAULT, **more) -> None:
            self.daemon = await daemon(timing=timing)
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
    assert held.daemon.proxy_service.state().version == version, "the same route needs no reload"
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


async def test_the_candidate_sees_the_holds_id_and_never_the_key(held, keyed, ask):
    await held.begin()
    await keyed(held.port, pick=held.new[0].address)
    seen = held.new[0].headers[-1]
    assert seen["x-jenkins-proxy-candidate"] == held.hold.id
    assert "x-jenkins-proxy-instance" not in seen
    # A wrong key is no key: the request is a user's.
    answer = await keyed(held.port, key="wrong", pick=held.new[0].address)
    assert answer.body == "old"
    assert "x-jenkins-proxy-instance" not in answer.headers
    assert not {"x-jenkins-proxy-candidate", "x-jenkins-proxy-instance"} & held.old.headers[-1].keys()
    everything = held.daemon.proxy_service.config() + str(held.daemon.events) + str(held.daemon.proxy_service.state())
    assert KEY not in everything


async def test_users_never_meet_candidates_that_come_and_go(held, ask, keyed, origin, enter, registry, wait_until):
    await held.begin()
    stopped = asyncio.Event()
    seen: collections.Counter[str] = collections.Counter()
    keyed_seen: collections.Counter[str] = collections.Counter()

    async def use(send, counts) -> None:
        while not stopped.is_set():
            answer = await send(held.port, "/books")
            counts[answer.body if answer.status == 200 else answer.status] += 1

    users = [asyncio.create_task(use(send, counts)) for send, counts in ((ask, seen), (keyed, keyed_seen)) * 2]
    for number in range(8):
        extra = await origin(f"extra{number}")
        identity = await enter(extra)
        await wait_until(lambda extra=extra: any(s.instance.address == extra.address for s in served(held)))
        assert (await keyed(held.port, pick=extra.address)).body in (extra.name, "jenkins-proxy: no such candidate\n")
        await registry.deregister(identity)
    await wait_until(lambda: seen["old"] > 300)
    stopped.set()
    await asyncio.gather(*users)
    assert set(seen) == {"old"}
    assert "old" not in keyed_seen
    assert keyed_seen["new0"] > 10
    assert keyed_seen["new1"] > 10


def served(held):
    return held.daemon.proxy_service.route("books").instances


async def test_promote_loses_no_request_and_mixes_no_answers(held, ask, visitor, wait_until):
    await held.begin()
    answers: list[str] = []
    stopped = asyncio.Event()

    async def renew() -> None:
        while not stopped.is_set():
            answer = await ask(held.port, "/books")
            answers.append(answer.body if answer.status == 200 else str(answer.status))

    async def keep() -> None:
        async with visitor(held.port) as user:
            while not stopped.is_set():
                answers.append((await user.ask("/books")).body)

    users = [asyncio.create_task(way()) for way in (renew, keep, renew, keep)]
    await wait_until(lambda: len(answers) > 100)
    await held.promote()
    sent = len(answers)
    await wait_until(lambda: len(answers) > sent + 200)
    stopped.set()
    await asyncio.gather(*users)
    assert set(answers) == {"old", "new0", "new1"}
    first = next(number for number, body in enumerate(answers) if body != "old")
    # Those in flight, and those that come between two commands of the one pass.
    assert answers[first:].count("old") <= 8


async def test_demote_and_abort(held, ask, keyed, registry):
    await held.begin()
    await held.promote()
    state = await held.holds.demote("books", held.hold.id)
    assert (state.hold.phase, state.applied) == (Phase.VERIFY, RUNTIME)
    assert await bodies(ask, held.port) == {"old"}
    assert {(await keyed(held.port)).body for _ in range(20)} == {"new0", "new1"}
    for one in held.new:
        await one.stop()
        await registry.deregister(f"books:{one.address.port}")
    await held.holds.end("books", held.hold.id)
    assert await bodies(ask, held.port) == {"old"}
    assert held.daemon.kinds().count("hold-ended") == 1
    with pytest.raises(NotRoutedError, match="nobody holds books"):
        await held.promote()


async def test_a_part_of_the_old_ones_may_stay(held, ask):
    await held.begin()
    await held.promote(held.old.address)
    assert await bodies(ask, held.port, 40) == {"old", "new0", "new1"}
    assert held.states() == {"old": "serving", "new0": "serving", "new1": "serving"}


async def test_the_next_batch_is_a_candidate_too(held, ask, keyed, origin, enter, wait_until):
    await held.begin()
    await held.promote(held.old.address)
    held.new.append(await origin("new2"))
    await enter(held.new[2])
    await wait_until(lambda: held.states().get("new2") == "candidate")
    assert await bodies(ask, held.port, 40) == {"old", "new0", "new1"}
    assert (await keyed(held.port, pick=held.new[2].address)).body == "new2"
    await held.promote()
    assert await bodies(ask, held.port, 40) == {"new0", "new1", "new2"}
    assert held.states()["old"] == "draining"


async def test_what_is_promoted_must_be_there(held):
    await held.begin()
    with pytest.raises(ConflictError, match=r"not a live instance of books: 127\.0\.0\.1:1"):
        await held.holds.promote("books", held.hold.id, [Address("127.0.0.1", 1)], (), 5)
    with pytest.raises(ConflictError, match="hold 01234567 of books is over"):
        await held.holds.promote("books", "01234567", held.addresses, (), 5)


async def test_who_holds_is_said_to_whoever_comes_second(held):
    await held.begin(timeout=600.0)
    again = await held.holds.begin(request())
    assert again.hold == held.hold, "the same key is the same deploy"
    with pytest.raises(
        ConflictError, match=r"books is held by me@agent:7 \(https://jenkins/job/books/7/\) since"
    ) as no:
        await held.holds.begin(request(key="another"))
    assert "abort books" in no.value.hint
    other = (await held.holds.begin(request(key="another", replace=held.hold.id))).hold
    assert other.id != held.hold.id
    assert other.before == (held.old.address,), "the candidates of the one before are not proven by its end"
    assert held.states() == {"old": "serving", "new0": "candidate", "new1": "candidate"}


async def test_a_route_waits_for_the_end_of_a_promoted_hold_but_may_be_asked_about(held, ask):
    await held.begin()
    await held.promote()
    with pytest.raises(ConflictError, match="books is held by"):
        await held.daemon.proxy_service.put(Route("books", ("/books",)))
    await held.daemon.proxy_service.put(Route("books", ("/books",)), dry_run=True)
    assert await bodies(ask, held.port) == {"new0", "new1"}


async def test_past_its_time_it_is_in_force_and_may_be_replaced(held, ask, keyed):
    await held.begin(timeout=0.0)
    assert await bodies(ask, held.port) == {"old"}
    await held.holds.begin(request(key="another"))
    assert await bodies(ask, held.port) == {"old"}
    assert (await keyed(held.port)).body == "old", "the key of before leads nowhere any more"
    assert {(await keyed(held.port, key="another")).body for _ in range(20)} == {"new0", "new1"}


async def test_a_first_deploy_has_no_route_for_users_until_it_is_promoted(
    daemon, origin, enter, ask, keyed, wait_until, registry
):
    one, whole, new = await daemon(), await origin("whole"), await origin("new")
    await enter(whole, "whole")
    await one.proxy_service.put(Route("whole", ("/",)))
    hold = (await one.controller.holds.begin(request())).hold
    await enter(new)
    await wait_until(lambda: [s.state for s in one.proxy_service.route("books").instances] == [InstanceState.CANDIDATE])
    assert one.proxy_service.route("books").version == 0
    assert await bodies(ask, one.port) == {"whole"}, "the path is still another service's"
    assert (await keyed(one.port)).body == "new"
    assert (await keyed(one.port, "/elsewhere")).body == "whole"
    assert (await one.controller.holds.promote("books", hold.id, [new.address], (), 5)).applied == RELOAD
    assert await bodies(ask, one.port) == {"new"}
    assert await registry.kv_get("jenkins-proxy/routes/books") is None
    await one.controller.holds.end("books", hold.id)
    assert await registry.kv_get("jenkins-proxy/routes/books") is not None
    assert await bodies(ask, one.port) == {"new"}


async def test_a_first_deploy_that_is_aborted_leaves_nothing(daemon, origin, enter, ask, keyed, registry):
    one = await daemon()
    hold = (await one.controller.holds.begin(request())).hold
    await enter(await origin("new"))
    await one.controller.holds.end("books", hold.id)
    assert one.proxy_service.route("books") is None
    assert (await ask(one.port, "/books")).body == (await keyed(one.port)).body == "jenkins-proxy: no route\n"
    assert await registry.kv_get("jenkins-proxy/routes/books") is None


async def test_a_changed_route_is_verified_by_key_while_users_keep_the_old(held, ask, keyed):
    changed = Route("books", ("/novels",), req_path_search="^/novels", req_path_replace="/new")
    await held.begin(changed)
    assert await bodies(ask, held.port) == {"old"}
    assert (await ask(held.port, "/novels")).status == 503
    assert {(await keyed(held.port, "/novels/1")).body for _ in range(20)} == {"new0", "new1"}
    marked = [
        path
        for one in held.new
        for path, headers in zip(one.requests, one.headers, strict=True)
        if "x-jenkins-proxy-candidate" in headers
    ]
    assert set(marked) == {"/new/1"}
    assert (await keyed(held.port, "/books")).status == 503, "once it is promoted nobody has that path"
    assert (await held.promote()).applied == RELOAD
    assert await bodies(ask, held.port, path="/novels") == {"new0", "new1"}
    await held.holds.end("books")
    assert held.daemon.proxy_service.route("books").route == changed


async def test_the_color_is_switched_without_a_reload(held, ask, registry):
    await held.begin(Route("books", ("/books",), color="green"))
    version = held.daemon.proxy_service.state().version
    assert await bodies(ask, held.port) == {"old"}
    assert (await held.promote()).applied == RUNTIME
    assert await bodies(ask, held.port) == {"new0", "new1"}
    await held.holds.end("books")
    assert await bodies(ask, held.port) == {"new0", "new1"}
    assert held.daemon.proxy_service.state().version == version
    assert json.loads((await registry.kv_get("jenkins-proxy/routes/books")).value)["color"] == "green"


async def test_what_was_drained_in_the_other_color_is_forgotten(held, registry):
    await held.begin(Route("books", ("/books",), color="green"))
    await held.promote()
    await held.daemon.proxy_service.drain("books", [held.old.address], 5, 5)
    await held.holds.end("books")
    assert json.loads((await registry.kv_get("jenkins-proxy/drains/books")).value) == {}


async def test_candidates_serve_when_no_proven_one_is_left(held, ask, registry, wait_until):
    await held.begin(timing=Timing(empty_grace=0.0))
    await registry.deregister(f"books:{held.old.address.port}")
    await wait_until(lambda: held.daemon.serving() == {one.address.port for one in held.new})
    assert await bodies(ask, held.port) == {"new0", "new1"}
    await registry.register(
        {"ID": "back", "Name": "books", "Address": held.old.address.host, "Port": held.old.address.port}
    )
    await wait_until(lambda: held.daemon.serving() == {held.old.address.port})
    assert await bodies(ask, held.port) == {"old"}


async def test_candidates_serve_when_haproxy_has_all_proven_ones_down(held, ask, wait_until):
    await held.begin()
    port = held.old.address.port
    await held.old.stop()
    end = asyncio.get_running_loop().time() + 20
    while (await ask(held.port, "/books")).status != 200:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)
    assert held.states()["new0"] == "serving"
    await held.old.start(port)
    await wait_until(lambda: held.states() == {"old": "serving", "new0": "candidate", "new1": "candidate"})
    assert await bodies(ask, held.port) == {"old"}


async def test_all_proxies_hold_and_promote(held, daemon, ask, keyed, wait_until):
    two = await daemon("two")
    await held.begin()
    assert set((await held.holds.begin(request())).proxies.values()) == {Progress.SERVES}
    await wait_until(lambda: len(two.proxy_service.route("books").instances) == 3)
    for _ in range(3):
        assert await bodies(ask, two.port) == {"old"}
        assert {(await keyed(two.port)).body for _ in range(20)} == {"new0", "new1"}
        assert (await held.promote()).proxies == {"one": Progress.SERVES, "two": Progress.SERVES}
        assert await bodies(ask, two.port) == await bodies(ask, held.port) == {"new0", "new1"}
        demoted = await two.controller.holds.demote("books", held.hold.id)
        assert demoted.proxies == {"one": Progress.SERVES, "two": Progress.SERVES}
        assert await bodies(ask, held.port) == {"old"}
    await held.promote()
    for color in ("green", "blue"):
        await held.holds.end("books")
        route = Route("books", ("/books",), color=color)
        assert set((await two.controller.holds.begin(request(route, key=color))).proxies.values()) == {Progress.SERVES}
    assert "hold-promoted" in two.kinds()


async def test_a_proxy_that_lags_is_named(held, registry):
    await held.begin()
    session = await registry.session_create("stuck", 30)
    await registry.kv_put("jenkins-proxy/proxies/stuck", b'{"version": 1, "index": 1}', acquire=session)
    # As a copy of the store that somebody has imported leaves it: no proxy lives behind it.
    await registry.kv_put("jenkins-proxy/proxies/copied", b'{"version": 1, "index": 1}')
    state = await held.holds.promote("books", held.hold.id, held.addresses, (), 0.5)
    assert state.proxies == {"one": Progress.SERVES, "stuck": Progress.LAGS}
    await registry.session_destroy(session)
    assert (await held.promote()).proxies == {"one": Progress.SERVES}


async def test_a_start_without_the_registry_keeps_the_hold(held, daemon, mortal, ask, keyed, wait_until):
    await held.begin()
    config = held.daemon.proxy_service.config
    await wait_until(lambda: all(f"{own} weight 0" in config() for own in held.addresses))
    await wait_until(lambda: held.hold.id in (held.daemon.folder / "routes.json").read_text())
    await held.daemon.stop()
    mortal.kill()
    again = await daemon()
    assert await bodies(ask, again.port) == {"old"}
    assert {(await keyed(again.port)).body for _ in range(20)} == {"new0", "new1"}


async def test_a_daemon_that_restarts_goes_on(held, daemon, ask, keyed, wait_until):
    await held.begin()
    await held.daemon.stop()
    held.daemon = await daemon()
    held.holds = held.daemon.controller.holds
    assert await bodies(ask, held.port) == {"old"}
    await wait_until(lambda: held.states() == {"old": "serving", "new0": "candidate", "new1": "candidate"})
    assert await bodies(ask, held.port) == {"old"}
    await held.promote()
    assert await bodies(ask, held.port) == {"new0", "new1"}


async def test_a_killed_haproxy_comes_back_with_the_hold(held, ask, keyed, wait_until):
    await held.begin()
    os.kill(held.daemon.haproxy.master.pid, signal.SIGKILL)
    await wait_until(lambda: " reload " in " ".join((*held.daemon.kinds(""), "")).partition("haproxy-died")[2])
    assert await bodies(ask, held.port) == {"old"}
    assert {(await keyed(held.port)).body for _ in range(20)} == {"new0", "new1"}


async def test_a_registry_that_lost_its_data_gets_the_hold_back(held, mortal, ask, registry, enter, wait_until):
    await held.begin()
    mortal.kill()
    await wait_until(lambda: held.daemon.proxy_service.state().registry_lost_since)
    empty = await asyncio.create_subprocess_exec(
        *mortal.args, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_until(lambda: held.daemon.proxy_service.state().registry_lost_since is None)
        while not await registry.kv_get("jenkins-proxy/holds/books"):  # noqa: ASYNC110 - Consul has no event for us
            await asyncio.sleep(0.02)
        assert await bodies(ask, held.port) == {"old"}
        for one in (held.new[0], held.old, held.new[1]):
            await enter(one)
        await wait_until(lambda: len(served(held)) == 3)
        assert await bodies(ask, held.port) == {"old"}
        await held.promote()
        assert await bodies(ask, held.port) == {"new0", "new1"}
    finally:
        empty.kill()
        await empty.wait()

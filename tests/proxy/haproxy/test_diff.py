"""From what runs to what is desired: tables, and a random walk that must end where a fresh start would."""

from __future__ import annotations

import random

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import diff
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config import candidate_map
from jenkins_proxy.proxy.haproxy.diff import KeyChange, Plan, RouteChange, ServerChange
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME

BOOKS = Route("books", ("/books",))
SERVING, CANDIDATE, DRAINING = ServerState.SERVING, ServerState.CANDIDATE, ServerState.DRAINING
A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))


def added(address: Address, route: Route = BOOKS) -> ServerChange:
    return ServerChange(route, address, None, SERVING)


def drained(address: Address) -> ServerChange:
    return ServerChange(BOOKS, address, SERVING, DRAINING)


def restored(address: Address) -> ServerChange:
    return ServerChange(BOOKS, address, DRAINING, SERVING)


def running(serving=(), leaving=(), route=BOOKS):
    servers = {**dict.fromkeys(serving, SERVING), **dict.fromkeys(leaving, DRAINING)}
    return {"books": Backend(route, servers)}


VERIFY = KeyedAccess("0123abcd", "ab" * 32, BOOKS, {B: B})
MOVED = KeyedAccess("0123abcd", "ab" * 32, Route("books", ("/novels",)))
GREEN = Route("books", ("/books",), color="green")


def held(servers, keyed):
    return {"books": Backend(BOOKS, servers, keyed)}


def desired(*servers, route=BOOKS):
    return {"books": Backend.serving(route, servers)}


@pytest.mark.parametrize(
    ("runs", "wanted", "expected"),
    [
        pytest.param(running([A]), desired(A), Plan(), id="nothing-to-do"),
        pytest.param(running([A]), desired(A, B), Plan(changes=(added(B),)), id="one-comes"),
        pytest.param(running([A, B]), desired(A), Plan(changes=(drained(B),)), id="one-goes"),
        pytest.param(running([A], [B]), desired(A, B), Plan(changes=(restored(B),)), id="one-comes-back"),
        pytest.param(running([A], [B]), desired(A), Plan(), id="one-is-leaving-already"),
        pytest.param(
            running([A]),
            desired(B),
            Plan(changes=(added(B), drained(A))),
            id="in-before-out",
        ),
        pytest.param(
            held({A: SERVING, B: CANDIDATE}, VERIFY),
            held({B: SERVING}, VERIFY),
            Plan(changes=(ServerChange(BOOKS, B, CANDIDATE, SERVING), drained(A))),
            id="promoted-in-one-pass",
        ),
        pytest.param(
            held({B: SERVING}, VERIFY),
            held({A: SERVING, B: CANDIDATE}, VERIFY),
            Plan(changes=(added(A), ServerChange(BOOKS, B, SERVING, CANDIDATE))),
            id="demoted-in-one-pass",
        ),
        pytest.param(
            running([A]),
            held({A: SERVING, B: CANDIDATE}, VERIFY),
            Plan(changes=(ServerChange(BOOKS, B, None, CANDIDATE), KeyChange("books", None, VERIFY))),
            id="a-hold-of-the-same-route",
        ),
        pytest.param(
            held({A: SERVING, B: CANDIDATE}, VERIFY),
            running([A]),
            Plan(changes=(KeyChange("books", VERIFY, None), ServerChange(BOOKS, B, CANDIDATE, DRAINING))),
            id="no-key-leads-to-who-goes",
        ),
        pytest.param(running([A]), held({A: SERVING}, MOVED), Plan(reload=True), id="a-hold-of-another-route"),
        pytest.param(running([A]), desired(A, route=GREEN), Plan(changes=(RouteChange(GREEN),)), id="other-color"),
        pytest.param({}, desired(A), Plan(reload=True), id="new-route"),
        pytest.param(running([A]), {}, Plan(reload=True), id="route-removed"),
        pytest.param(running([A]), desired(A, route=Route("books", ("/b",))), Plan(reload=True), id="other-path"),
        pytest.param(
            {**running([A]), "gone": Backend(Route("gone", ("/gone",)))},
            desired(A, B),
            Plan(reload=True, changes=(added(B),)),
            id="another-one-comes-beside-a-route-that-goes",
        ),
    ],
)
def test_plan(runs, wanted, expected):
    assert diff.plan(runs, wanted) == expected


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        pytest.param(
            added(A),
            [
                "add server books-be/10.0.0.1:1 10.0.0.1:1 check inter 30s fastinter 1s downinter 2s fall 2 rise 1 "
                "observe layer4 error-limit 1 on-error fail-check pool-purge-delay 5s pool-max-conn -1",
                "enable health books-be/10.0.0.1:1",
                "set server books-be/10.0.0.1:1 state ready",
            ],
            id="add",
        ),
        pytest.param(
            added(Address("::1", 80), Route("x", ("/",), skip_check=True)),
            [
                "add server x-be/::1:80 [::1]:80 pool-purge-delay 5s pool-max-conn -1",
                "set server x-be/::1:80 state ready",
            ],
            id="add-without-check",
        ),
        pytest.param(
            added(Address("10.0.0.1", 80), Route("x", ("/",), skip_check=True, slow_start=1.5)),
            [
                "add server x-be/10.0.0.1:80 10.0.0.1:80 pool-purge-delay 5s pool-max-conn -1 slowstart 1500ms",
                "set server x-be/10.0.0.1:80 state ready",
            ],
            id="add-with-slow-start",
        ),
        pytest.param(
            ServerChange(Route("x", ("/",), skip_check=True), A, None, CANDIDATE),
            [
                "add server x-be/10.0.0.1:1 10.0.0.1:1 weight 0 pool-purge-delay 5s pool-max-conn -1",
                "set server x-be/10.0.0.1:1 state ready",
            ],
            id="add-a-candidate",
        ),
        pytest.param(
            ServerChange(BOOKS, A, CANDIDATE, SERVING), ["set server books-be/10.0.0.1:1 weight 1"], id="promote"
        ),
        pytest.param(
            ServerChange(BOOKS, A, SERVING, CANDIDATE), ["set server books-be/10.0.0.1:1 weight 0"], id="demote"
        ),
        pytest.param(drained(A), ["set server books-be/10.0.0.1:1 state drain"], id="drain"),
        pytest.param(
            restored(A),
            ["set server books-be/10.0.0.1:1 weight 1", "set server books-be/10.0.0.1:1 state ready"],
            id="ready",
        ),
        pytest.param(
            ServerChange(BOOKS, A, DRAINING, None),
            ["set server books-be/10.0.0.1:1 state maint", "del server books-be/10.0.0.1:1"],
            id="remove",
        ),
    ],
)
def test_commands(change, commands):
    assert list(change.commands) == commands


def test_cookies_lead_to_what_serves_and_to_nothing_else_after_any_change():
    chance, route = random.Random(3), Route("books", ("/books",), session_type="sticky-server")
    keyed = KeyedAccess("0123abcd", "ab" * 32, BOOKS, {})
    runs = Backend(route, {}, keyed)
    cookies: dict[str, str] = {}
    for _ in range(200):
        chosen = {
            address: chance.choice([SERVING, CANDIDATE]) for address in chance.sample([A, B, C], chance.randint(0, 3))
        }
        wanted = Backend(route, chosen, keyed)
        for change in diff.plan({"books": runs}, {"books": wanted}).changes:
            for command in change.commands:
                verb, *words = command.split(" ")
                # A key that is there is not added, and one that is not there is not deleted.
                if verb == "add" and words[0] == "map":
                    assert cookies.setdefault(words[2], words[3]) == words[3]
                elif verb == "del" and words[0] == "map":
                    del cookies[words[2]]
                elif verb == "set" and command.endswith(("weight 0", "state drain")):
                    # Gone before the server is.
                    assert f"{change.address.host}:{change.address.port}" not in cookies.values()
            runs = change.apply(runs)
        expected = [line.split(" ") for line in candidate_map.text([runs]).splitlines() if "books-be/" in line]
        assert cookies == dict(expected)


@pytest.mark.parametrize("seed", range(20))
def test_any_walk_ends_where_a_fresh_start_would(seed):
    chance = random.Random(seed)
    addresses = [Address("10.0.0.1", port) for port in range(6)]
    routes = [Route(name, (path,)) for name in ("a", "b", "c") for path in ("/1", "/2")]
    runs: dict[str, Backend] = {}
    for _ in range(60):
        chosen = {route.service: route for route in chance.sample(routes, chance.randint(0, 6))}
        if chance.random() < 0.7 and runs:
            chosen = {name: one.route for name, one in runs.items()}
        wanted = {
            name: Backend.serving(route, chance.sample(addresses, chance.randint(0, 6)))
            for name, route in chosen.items()
        }
        runs = follow(runs, diff.plan(runs, wanted), wanted)
        assert {name: one.lasting for name, one in runs.items()} == wanted


def follow(runs, todo, wanted):
    if todo.reload:
        return dict(wanted)
    runs = dict(runs)
    for change in todo.changes:
        # HAProxy refuses to add a server that is there, and to drain or make ready one that is not.
        assert change.before is runs[change.route.service].servers.get(change.address)
        runs[change.route.service] = change.apply(runs[change.route.service])
    return runs


def test_means():
    """By what HAProxy comes from one backend to another."""
    one, two = running([A])["books"], running([A, B])["books"]
    assert diff.means(None, one) == diff.means(one, None) == RELOAD
    assert diff.means(one, running([A], route=Route("books", ("/b",)))["books"]) == RELOAD
    assert diff.means(one, two) == RUNTIME
    assert diff.means(one, running([A], [B])["books"]) == NONE

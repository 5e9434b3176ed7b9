"""From what runs to what is desired: tables, and a random walk that must end where a fresh start would."""

from __future__ import annotations

import random

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import diff
from jenkins_proxy.proxy.haproxy.diff import ADD, DRAIN, READY, Plan, Running, ServerChange, applied
from jenkins_proxy.proxy.haproxy.render import Backend

BOOKS = Route("books", ("/books",))
A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))


def running(serving=(), leaving=(), route=BOOKS):
    return {"books": Running(route, frozenset(serving), frozenset(leaving))}


def desired(*servers, route=BOOKS):
    return {"books": Backend(route, servers)}


@pytest.mark.parametrize(
    ("runs", "wanted", "expected"),
    [
        pytest.param(running([A]), desired(A), Plan(), id="nothing-to-do"),
        pytest.param(running([A]), desired(A, B), Plan(changes=(ServerChange(ADD, BOOKS, B),)), id="one-comes"),
        pytest.param(running([A, B]), desired(A), Plan(changes=(ServerChange(DRAIN, BOOKS, B),)), id="one-goes"),
        pytest.param(
            running([A], [B]), desired(A, B), Plan(changes=(ServerChange(READY, BOOKS, B),)), id="one-comes-back"
        ),
        pytest.param(running([A], [B]), desired(A), Plan(), id="one-is-leaving-already"),
        pytest.param(
            running([A]),
            desired(B),
            Plan(changes=(ServerChange(ADD, BOOKS, B), ServerChange(DRAIN, BOOKS, A))),
            id="in-before-out",
        ),
        pytest.param({}, desired(A), Plan(reload=True), id="new-route"),
        pytest.param(running([A]), {}, Plan(reload=True), id="route-removed"),
        pytest.param(running([A]), desired(A, route=Route("books", ("/b",))), Plan(reload=True), id="other-path"),
    ],
)
def test_plan(runs, wanted, expected):
    assert diff.plan(runs, wanted) == expected


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        pytest.param(
            ServerChange(ADD, BOOKS, A),
            [
                "add server books-be/10.0.0.1:1 10.0.0.1:1 check inter 30s fastinter 1s downinter 2s fall 2 rise 1 "
                "observe layer4 error-limit 1 on-error fail-check pool-purge-delay 5s pool-max-conn -1",
                "enable health books-be/10.0.0.1:1",
                "set server books-be/10.0.0.1:1 state ready",
            ],
            id="add",
        ),
        pytest.param(
            ServerChange(ADD, Route("x", ("/",), skip_check=True), Address("::1", 80)),
            [
                "add server x-be/::1:80 [::1]:80 pool-purge-delay 5s pool-max-conn -1",
                "set server x-be/::1:80 state ready",
            ],
            id="add-without-check",
        ),
        pytest.param(
            ServerChange(ADD, Route("x", ("/",), skip_check=True, slow_start=1.5), Address("10.0.0.1", 80)),
            [
                "add server x-be/10.0.0.1:80 10.0.0.1:80 pool-purge-delay 5s pool-max-conn -1 slowstart 1500ms",
                "set server x-be/10.0.0.1:80 state ready",
            ],
            id="add-with-slow-start",
        ),
        pytest.param(ServerChange(DRAIN, BOOKS, A), ["set server books-be/10.0.0.1:1 state drain"], id="drain"),
        pytest.param(ServerChange(READY, BOOKS, A), ["set server books-be/10.0.0.1:1 state ready"], id="ready"),
        pytest.param(
            ServerChange(diff.REMOVE, BOOKS, A),
            ["set server books-be/10.0.0.1:1 state maint", "del server books-be/10.0.0.1:1"],
            id="remove",
        ),
    ],
)
def test_commands(change, commands):
    assert list(change.commands) == commands


@pytest.mark.parametrize("seed", range(20))
def test_any_walk_ends_where_a_fresh_start_would(seed):
    chance = random.Random(seed)
    addresses = [Address("10.0.0.1", port) for port in range(6)]
    routes = [Route(name, (path,)) for name in ("a", "b", "c") for path in ("/1", "/2")]
    runs: dict[str, Running] = {}
    for _ in range(60):
        chosen = {route.service: route for route in chance.sample(routes, chance.randint(0, 6))}
        if chance.random() < 0.7 and runs:
            chosen = {name: one.route for name, one in runs.items()}
        wanted = {
            name: Backend(route, tuple(chance.sample(addresses, chance.randint(0, 6))))
            for name, route in chosen.items()
        }
        runs = follow(runs, diff.plan(runs, wanted), wanted)
        assert {name: (one.route, one.serving) for name, one in runs.items()} == {
            name: (one.route, frozenset(one.servers)) for name, one in wanted.items()
        }
        assert not any(one.serving & one.leaving for one in runs.values())


def follow(runs, todo, wanted):
    if todo.reload:
        return diff.fresh(wanted)
    runs = dict(runs)
    for change in todo.changes:
        # HAProxy refuses to add a server that is there, and to drain or make ready one that is not.
        known = runs[change.route.service].serving | runs[change.route.service].leaving
        assert (change.verb == ADD) == (change.address not in known)
        runs[change.route.service] = applied(runs[change.route.service], change)
    return runs

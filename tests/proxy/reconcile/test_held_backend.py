"""Who serves whom while a deploy holds a service: a table."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.holds import Hold, Holder
from jenkins_proxy.proxy.reconcile.held_backend import held_backend, restored_backend

BOOKS = Route("books", ("/books",))
OLD, OLDER, NEW, NEWER = (Address("10.0.0.1", port) for port in range(1, 5))
NAME, NUMBERS = Address("a.local", 80), (Address("10.9.9.1", 80), Address("10.9.9.2", 80))
VERIFY = Hold("0123abcd", "ab" * 32, BOOKS, Holder("me@host:1"), 1.0, 2.0, (OLD, OLDER), (OLD, OLDER))
PROMOTED = VERIFY.promote([NEW])


def resolve(address: Address) -> tuple[Address, ...]:
    return NUMBERS if address == NAME else (address,)


def made(hold: Hold, *there: Address, route: Route | None = BOOKS, down=(), not_ready=()) -> Backend:
    instances = [Instance("books", f"id-{address}", address) for address in there]
    return held_backend(route, hold, instances, resolve, down=down, not_ready=not_ready)


@pytest.mark.parametrize(
    ("backend", "serving", "candidates", "keyed"),
    [
        pytest.param(made(VERIFY, OLD, OLDER), {OLD, OLDER}, set(), set(), id="nobody-has-come-yet"),
        pytest.param(made(VERIFY, OLD, NEW), {OLD}, {NEW}, {NEW}, id="a-candidate"),
        pytest.param(made(VERIFY, OLD, NAME), {OLD}, set(NUMBERS), {NUMBERS[0]}, id="a-candidate-with-a-name"),
        pytest.param(made(VERIFY, NEW, NEWER), {NEW, NEWER}, set(), {NEW, NEWER}, id="no-proven-one-is-left"),
        pytest.param(made(VERIFY, NEW, NEWER, not_ready={NEW}), {NEWER}, {NEW}, {NEW, NEWER}, id="those-that-answer"),
        pytest.param(made(VERIFY, NEW, not_ready={NEW}), {NEW}, set(), {NEW}, id="none-that-answers"),
        pytest.param(made(VERIFY, OLD, OLDER, NEW, down={OLD}), {OLD, OLDER}, {NEW}, {NEW}, id="one-proven-is-down"),
        pytest.param(made(VERIFY, OLD, NEW, down={OLD}), {OLD, NEW}, set(), {NEW}, id="all-proven-are-down"),
        pytest.param(made(VERIFY, NEW, route=None), set(), {NEW}, {NEW}, id="a-first-deploy-has-no-users"),
        pytest.param(made(PROMOTED, OLD, NEW), {NEW}, set(), {NEW}, id="promoted-the-old-one-drains"),
        pytest.param(made(PROMOTED, OLD, NEW, NEWER), {NEW}, {NEWER}, {NEW, NEWER}, id="the-next-batch"),
        pytest.param(made(PROMOTED, OLD, NEWER), {OLD}, {NEWER}, {NEWER}, id="promoted-and-gone-the-old-one-serves"),
        pytest.param(made(PROMOTED, NEW, route=None), {NEW}, set(), {NEW}, id="a-first-deploy-is-promoted"),
        pytest.param(made(PROMOTED.demote(), OLD, NEW), {OLD}, {NEW}, {NEW}, id="demoted"),
    ],
)
def test_who_serves_whom(backend: Backend, serving, candidates, keyed):
    assert backend.addresses(ServerState.SERVING) == serving
    assert backend.addresses(ServerState.CANDIDATE) == candidates
    assert set(backend.keyed.servers) == keyed


GREEN = dataclasses.replace(VERIFY, route=dataclasses.replace(BOOKS, color="green"))
MOVED = dataclasses.replace(VERIFY, route=Route("books", ("/novels",)))


@pytest.mark.parametrize(
    ("route", "hold", "users", "held"),
    [
        pytest.param(BOOKS, VERIFY, BOOKS, None, id="the-same"),
        pytest.param(BOOKS, GREEN, BOOKS, None, id="another-color-is-the-same"),
        pytest.param(BOOKS, MOVED, BOOKS, MOVED.route, id="another-path"),
        pytest.param(BOOKS, MOVED.promote([NEW]), MOVED.route, None, id="another-path-promoted"),
        pytest.param(None, VERIFY, None, BOOKS, id="a-first-deploy"),
        pytest.param(None, PROMOTED, BOOKS, None, id="a-first-deploy-promoted"),
    ],
)
def test_which_route_leads_there(route, hold, users, held):
    backend = made(hold, OLD, NEW, route=route)
    assert (backend.route if backend.public else None, backend.held_route) == (users, held)


def test_before_the_registry_reports_everyone_stays_what_it_was():
    states = {OLD: ServerState.SERVING, NEW: ServerState.CANDIDATE}
    backend = restored_backend(BOOKS, VERIFY, states)
    assert (backend.servers, backend.keyed.servers) == (states, (NEW,))

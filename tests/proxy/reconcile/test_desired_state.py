"""What should serve for what is known: tables."""

from __future__ import annotations

import time

import pytest

from jenkins_proxy.model import CRITICAL, PASSING, WARNING, Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes

BOOKS = Route("books", ("/books",))
A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))
NAME = (Address("10.9.9.1", 80), Address("10.9.9.2", 80))


def instance(address: Address, status: str = PASSING, identity: str = "id") -> Instance:
    return Instance("books", identity, address, status=status)


def knowing(route: Route = BOOKS, restored=(), drained_ids=None) -> DesiredState:
    stored = StoredRoutes({route.service: StoredRoute(route, 5)}, 5)
    desired = DesiredState(
        stored, {route.service: drained_ids or {}}, {route.service: dict.fromkeys(restored, ServerState.SERVING)}
    )
    desired.hosts.put("a.local", [address.host for address in NAME])
    return desired


@pytest.mark.parametrize(
    ("instances", "serving", "expected"),
    [
        pytest.param(None, {A}, {A}, id="the-registry-has-not-told"),
        pytest.param([], {A}, set(), id="all-gone"),
        pytest.param([instance(A), instance(B)], set(), {A, B}, id="two"),
        pytest.param([instance(A), instance(B, WARNING)], set(), {A, B}, id="a-warning-serves"),
        pytest.param([instance(A), instance(B, CRITICAL)], {A, B}, {A}, id="a-critical-does-not"),
        pytest.param([instance(A, CRITICAL), instance(B, CRITICAL)], {A, B}, {A, B}, id="all-critical-serve-on"),
        pytest.param([instance(A, CRITICAL), instance(B, CRITICAL)], {B, C}, {B}, id="only-those-that-served-do"),
        pytest.param([instance(A, CRITICAL)], set(), set(), id="one-that-never-passed"),
        pytest.param([instance(A), instance(A, CRITICAL, "stale-twin")], set(), {A}, id="a-stale-twin"),
        pytest.param([instance(Address("a.local", 80))], set(), set(NAME), id="a-name"),
        pytest.param([instance(Address("unknown.local", 80)), instance(A)], set(), {A}, id="an-unknown-name"),
    ],
)
def test_what_serves(instances, serving, expected):
    desired = knowing()
    if instances is not None:
        desired.instances.take("books", instances)
    backend = desired.backends(["books"], {"books": Backend.serving(BOOKS, serving)})["books"]
    assert set(backend.servers) == expected


@pytest.mark.parametrize(
    ("instances", "not_ready", "serving", "awaits"),
    [
        pytest.param(None, set(), set(), True, id="the-registry-has-not-told"),
        pytest.param(None, set(), {A}, False, id="what-served-before-serves-meanwhile"),
        pytest.param([], set(), set(), False, id="there-is-none"),
        pytest.param([instance(A)], {A}, set(), True, id="it-has-not-answered-yet"),
        # The registry told of it, and it answered, while HAProxy was reloaded with the route alone.
        pytest.param([instance(A)], set(), set(), True, id="it-has-answered-and-comes-with-the-next-round"),
        pytest.param([instance(A), instance(B)], {B}, set(), True, id="one-of-two-has-answered"),
        pytest.param([instance(A), instance(B)], {B}, {A}, False, id="one-of-two-serves"),
        pytest.param([instance(A, CRITICAL)], {A}, set(), False, id="it-is-critical"),
    ],
)
def test_whether_users_wait_for_an_instance(instances, not_ready, serving, awaits):
    desired = knowing()
    if instances is not None:
        desired.instances.take("books", instances)
    desired.instances.set_not_ready("books", dict.fromkeys(not_ready, 1.0))
    assert desired.awaits_instances("books", Backend.serving(BOOKS, serving)) is awaits
    assert desired.awaits_instances("users", None) is False


@pytest.mark.parametrize(
    ("status", "drained_ids", "expected"),
    [
        pytest.param(PASSING, {B: "id"}, {A}, id="drained"),
        pytest.param(PASSING, {B: "another"}, {A, B}, id="another-container-got-the-address"),
        pytest.param(CRITICAL, {B: "id"}, {A}, id="drained-and-all-critical"),
        pytest.param(PASSING, {A: "id", B: "id"}, set(), id="all-drained"),
    ],
)
def test_drained_instances_do_not_serve(status, drained_ids, expected):
    desired = knowing(drained_ids=drained_ids)
    desired.instances.take("books", [instance(A, status), instance(B, status)])
    backend = desired.backends(["books"], {"books": Backend.serving(BOOKS, [A, B])})["books"]
    assert set(backend.servers) == expected


@pytest.mark.parametrize(
    ("instances", "waiting", "serving", "expected"),
    [
        pytest.param([instance(A), instance(B)], {B}, {A}, {A}, id="one-waits"),
        pytest.param([instance(A)], {A}, set(), set(), id="the-first-one-waits"),
        pytest.param([instance(A, CRITICAL), instance(B)], {B}, {A}, {A}, id="the-ready-one-is-critical-and-serves-on"),
        pytest.param([instance(A, CRITICAL), instance(B)], {B}, set(), set(), id="a-critical-one-that-did-not-serve"),
        pytest.param([instance(A), instance(A, CRITICAL, "before")], {A}, {A}, set(), id="another-one-at-its-address"),
        pytest.param([instance(Address("a.local", 80))], {Address("a.local", 80)}, set(), set(), id="a-name-waits"),
    ],
)
def test_who_has_not_answered_does_not_serve(instances, waiting, serving, expected):
    desired = knowing()
    desired.instances.take("books", instances)
    desired.instances.set_not_ready("books", dict.fromkeys(waiting, 1.0))
    backend = desired.backends(["books"], {"books": Backend.serving(BOOKS, serving)})["books"]
    assert set(backend.servers) == expected


def test_who_has_not_answered_is_shown_so():
    desired = knowing()
    desired.instances.take("books", [instance(A), instance(B), instance(C, CRITICAL)])
    desired.instances.set_not_ready("books", {B: time.monotonic() - 14})
    served = desired.state("books", Backend.serving(BOOKS, [A])).instances
    assert [own.state for own in served] == ["serving", "waiting", "waiting"]
    assert served[1].waiting_seconds == pytest.approx(14, abs=1)
    assert (served[0].waiting_seconds, served[2].waiting_seconds) == (0, 0)


def test_after_a_start_what_served_before_serves_until_the_registry_tells():
    desired = knowing(restored=[A, B])
    assert set(desired.backends(["books"], {})["books"].servers) == {A, B}
    desired.instances.take("books", [instance(A)])
    assert set(desired.backends(["books"], {})["books"].servers) == {A}


def test_a_color_has_the_instances_of_its_own_name():
    desired = knowing(Route("books", ("/books",), color="green"))
    desired.instances.take("books", [instance(A)])
    desired.instances.take("books-green", [instance(B)])
    assert desired.registry_names == {"books-green"}
    assert desired.backends(["books"], {})["books"].servers.keys() == {B}


def test_an_outbound_host_needs_no_registry():
    desired = knowing(Route("books", ("/books",), outbound_hostname="a.local:80"))
    assert desired.registry_names == set()
    assert desired.backends(["books"], {})["books"].servers.keys() == set(NAME)


@pytest.mark.parametrize(
    ("instances", "outlived"),
    [
        pytest.param([instance(A), instance(B)], set(), id="still-there"),
        pytest.param([instance(A)], {B}, id="gone"),
        pytest.param([instance(A), instance(B, identity="new")], {B}, id="another-container"),
        pytest.param(None, set(), id="not-told-yet"),
    ],
)
def test_marks_that_outlived_their_instance(instances, outlived):
    desired = knowing(drained_ids={B: "id"})
    if instances is not None:
        desired.instances.take("books", instances)
    assert desired.outlived_drains("books") == outlived


def stored(version: int, path: str = "/books") -> StoredRoute:
    return StoredRoute(Route("books", (path,)), version)


@pytest.mark.parametrize(
    ("own", "told", "index", "expected", "changed", "missing"),
    [
        pytest.param(None, stored(7), 7, stored(7), {"books"}, [], id="new"),
        pytest.param(stored(5), stored(7, "/other"), 7, stored(7, "/other"), {"books"}, [], id="changed"),
        pytest.param(stored(5), stored(7), 7, stored(7), set(), [], id="written-again"),
        pytest.param(stored(5), None, 7, None, {"books"}, [], id="removed-elsewhere"),
        pytest.param(stored(9), stored(7, "/old"), 8, stored(9), set(), [], id="told-before-our-own-put"),
        pytest.param(stored(9), None, 8, stored(9), set(), [stored(9)], id="the-registry-lost-it"),
        pytest.param(None, None, 8, None, set(), [], id="nothing"),
    ],
)
def test_what_the_store_tells_is_merged(own, told, index, expected, changed, missing):
    desired = DesiredState(StoredRoutes({"books": own} if own else {}), {}, {})
    snapshot = StoredRoutes({"books": told} if told else {}, index)
    assert desired.take_routes(snapshot) == (changed, missing)
    assert desired.routes.get("books") == expected


def test_a_store_of_another_lineage_has_lost_what_it_does_not_tell():
    """Other keys may have taken its index beyond our versions; what it does tell is newer than all of ours."""
    others = StoredRoute(Route("users", ("/users",)), 600)
    desired = DesiredState(StoredRoutes({"books": stored(500), "users": others}, store_id="first"), {}, {})
    written = StoredRoute(Route("users", ("/new",)), 7)
    changed, missing = desired.take_routes(StoredRoutes({"users": written}, 900, store_id="second"))
    assert (changed, missing) == ({"users"}, [stored(500)])
    assert desired.routes == {"users": written, "books": stored(500)}
    assert desired.store_id == "second"


def test_a_store_that_lost_everything_is_known_until_it_is_marked_again():
    desired = DesiredState(StoredRoutes({"books": stored(5)}, store_id="first"), {}, {})
    for _ in range(2):
        assert desired.take_routes(StoredRoutes({}, 900)) == (set(), [stored(5)])


def written(generation: int, version: int = 7) -> StoredRoute:
    return StoredRoute(Route("books", (f"/{generation}",)), version, generation)


@pytest.mark.parametrize(
    ("own", "removed", "told", "told_removed", "serves", "missing", "returned"),
    [
        pytest.param(written(5), 0, written(3), 0, 5, True, False, id="an-older-one-was-given-back"),
        pytest.param(written(3), 0, written(5), 0, 5, False, False, id="a-newer-one-was-given-back"),
        pytest.param(written(3), 0, None, 5, None, False, False, id="removed-while-this-proxy-was-down"),
        pytest.param(None, 5, written(3), 0, None, False, True, id="given-back-by-one-that-was-down-then"),
        pytest.param(written(3), 0, written(3), 5, None, False, True, id="about-to-be-deleted"),
        pytest.param(None, 5, written(6), 5, 6, False, False, id="put-again-since"),
        pytest.param(written(6), 5, None, 0, 6, True, False, id="put-again-and-lost"),
        pytest.param(None, 5, written(0), 0, 0, False, False, id="by-hand"),
    ],
)
def test_a_store_that_was_given_back_older_data(own, removed, told, told_removed, serves, missing, returned):
    known = StoredRoutes({"books": own} if own else {}, store_id="first", removed={"books": removed} if removed else {})
    desired = DesiredState(known, {}, {})
    told_all = StoredRoutes(
        {"books": told} if told else {}, 9, store_id="second", removed={"books": told_removed} if told_removed else {}
    )
    _changed, given_back = desired.take_routes(told_all)
    assert desired.routes.get("books") == (None if serves is None else written(serves))
    assert given_back == ([own] if missing else [])
    assert desired.returned == ({"books": 7} if returned else {})
    assert desired.removed.get("books", 0) == max(removed, told_removed)


def test_a_route_that_is_told_again_stays_the_same_object():
    first, again, moved = (StoredRoutes({"books": stored(version)}, 9, "A") for version in (5, 5, 6))
    state = DesiredState(first, {}, {})
    state.take_routes(again)
    assert state.routes["books"] is first.routes["books"]
    state.take_routes(moved)
    assert state.routes["books"] is moved.routes["books"]


def test_a_route_that_was_removed_here_does_not_come_back_by_an_older_answer():
    desired = knowing()
    assert desired.remove_route("books", 5)
    assert desired.take_routes(StoredRoutes({"books": stored(5)}, 6)) == (set(), [])
    assert desired.take_routes(StoredRoutes({"books": stored(8)}, 8)) == ({"books"}, [])


@pytest.mark.parametrize(
    ("told", "removed", "index", "put", "serves"),
    [
        pytest.param(None, 0, 6, written(7), 7, id="not-reported-yet"),
        pytest.param(written(7), 0, 7, written(7), 7, id="reported"),
        pytest.param(written(9, version=9), 0, 9, written(7), 9, id="changed-by-others-since"),
        pytest.param(None, 8, 9, written(7), None, id="removed-by-others-since"),
        pytest.param(written(7, version=500), 0, 500, written(9, version=7), 9, id="into-a-store-that-lost-its-data"),
        pytest.param(written(7), 0, 7, written(0, version=8), 0, id="of-no-known-generation"),
    ],
)
def test_a_route_that_was_put_here_is_told_late(told, removed, index, put, serves):
    desired = DesiredState(StoredRoutes(store_id="A"), {}, {})
    reported = {"books": removed} if removed else {}
    desired.take_routes(StoredRoutes({"books": told} if told else {}, index, store_id="A", removed=reported))
    before = path(desired)
    assert desired.put_route(put) == (path(desired) != before)
    assert path(desired) == serves


def path(desired: DesiredState) -> int | None:
    """The generation that a route of :func:`written` has in its path."""
    known = desired.routes.get("books")
    return int(known.route.paths[0][1:]) if known else None


def test_a_route_that_was_put_again_is_not_taken_away_by_a_removal_before_it():
    desired = DesiredState(StoredRoutes({"books": stored(9)}), {}, {})
    assert not desired.remove_route("books", 5)
    assert desired.take_routes(StoredRoutes({"books": stored(9)}, 10)) == (set(), [])
    assert desired.routes == {"books": stored(9)}


@pytest.mark.parametrize(
    ("steps", "drained"),
    [
        pytest.param([("told", A, 5), ("put", B, 7)], B, id="not-reported-yet"),
        pytest.param([("put", B, 7), ("told", A, 5)], B, id="reported-before-it"),
        pytest.param([("put", B, 7), ("told", A, 5), ("told", B, 7)], B, id="reported"),
        pytest.param([("told", A, 9), ("put", B, 7)], A, id="changed-by-others-since"),
        pytest.param([("put", B, 7), ("told", A, 9)], A, id="changed-by-others"),
        pytest.param([("told", A, 500), ("put", B, 510), ("told", A, 3)], A, id="of-a-store-that-lost-its-data"),
    ],
)
def test_of_drains_that_are_told_late_the_latest_count(steps, drained):
    desired = knowing()
    for way, address, index in steps:
        if way == "put":
            desired.put_drains("books", {address: "id"}, index)
        else:
            desired.take_drains({"books": {address: "id"}, "users": {C: "id"}}, index)
    assert set(desired.drained_ids("books")) == {drained}
    if ("told", A, 5) in steps:
        assert desired.drained_ids("users"), "of others what is told counts"


def test_the_state_tells_what_serves_and_what_drains():
    desired = knowing(drained_ids={B: "id"})
    desired.instances.take("books", [instance(A), instance(B), instance(C, CRITICAL)])
    state = desired.state("books", Backend(BOOKS, {A: ServerState.SERVING, B: ServerState.DRAINING}))
    assert [(one.instance.address, one.serving, one.draining) for one in state.instances] == [
        (A, True, False),
        (B, False, True),
        (C, False, False),
    ]

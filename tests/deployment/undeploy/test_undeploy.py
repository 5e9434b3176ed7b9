"""What an undeploy does, in which order, and what it says is left. A real one is in tests/system."""

from __future__ import annotations

import pytest

from jenkins_proxy import releases
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.model import Route
from jenkins_proxy.releases import Release
from tests.deployment.undeploy.world import NOTHING, ROUTE
from tests.fixtures.orchestrators import InMemoryCompose, InMemoryStack

HISTORY = f"{releases.KEYS}books-ms"


ALL = [
    "lock",
    "drain 10.0.0.1:32768",
    "remove the route",
    "stop books_app_1",
    "remove books_app_1",
    "stop books_db_1",
    "remove books_db_1",
]


def test_users_are_led_away_first_and_what_is_needed_goes_last(books, run, world):
    books()

    outcome, text = run()

    assert outcome.error is None, outcome.error
    assert world.calls == ALL
    assert outcome.left == ()
    assert outcome.removed == (
        "route /api",
        "container books_app_1",
        "container books_db_1",
        "network books_default",
    )
    assert "done: books-ms is undeployed: route /api, container books_app_1" in text
    assert IntentLog(world.registry, "books-ms").read() is None


def test_a_second_run_finds_nothing(books, run, world):
    books()
    run()
    world.calls.clear()

    outcome, text = run()

    assert (outcome.error, outcome.removed, outcome.left) == (None, (), ())
    assert world.calls == ["lock"]
    assert "nothing of books-ms is there" in text


@pytest.mark.parametrize(
    ("web_needs", "gone", "left"),
    [
        ("db", ALL[:5], ["service db, which web needs", "service web", "network books_default"]),
        ("", ALL, ["service web", "network books_default"]),
    ],
)
def test_neighbours_keep_what_they_need(books, run, world, web_needs, gone, left):
    books(web=True, web_needs=web_needs)

    outcome, _ = run()

    assert world.calls == gone
    assert list(outcome.left) == left
    assert run()[0].removed == ()


def test_with_sides_all_of_the_project_goes(books, run, world):
    books(web=True)
    world.proxy.others = {"shop-web": 32769, "another": 32770}

    outcome, text = run(with_sides=True)

    # Its own undeploy removes that.
    assert outcome.left == ("route of shop-web",)
    assert "users of shop-web are led to what goes" in text
    assert world.projects["books"].present == []


def test_a_dry_run_changes_nothing(books, run, world):
    compose = books(web=True, used={"app": ["books_data"]})
    world.registry.keys[HISTORY] = releases.with_newest((), Release(1.0, "deploy", "done"))

    outcome, text = run(dry_run=True, volumes=True)

    assert outcome.plan == {
        "route": ROUTE.as_dict(),
        "services": ["app"],
        "containers": ["books_app_1"],
        "networks": ["network books_default"],
        "volumes": ["books_data"],
        "entries": ["node-1:books_app_1:8080 at 10.0.0.1:32768"],
        "releases": 1,
        "left": ["service db, which web needs", "service web"],
    }
    assert world.calls == []
    assert len(compose.present) == 3
    assert HISTORY in world.registry.keys
    assert "forget the history of 1 release(s)" in text
    assert "drain and remove the route /api" in text


@pytest.mark.parametrize("volumes", [True, False])
def test_volumes_stay_unless_they_are_asked_for(books, run, world, volumes):
    books(web=True, used={"app": ["books_data"], "web": ["books_theirs"]})
    assert ("volume books_data" in run(dry_run=True, volumes=volumes)[0].plan["left"]) is not volumes

    outcome, text = run(volumes=volumes)

    asked = ["remove volumes books_data"] if volumes else []
    assert [call for call in world.calls if "remove volumes" in call] == asked
    assert ("volume books_data" in outcome.left) is not volumes
    assert ("the volumes stay: books_data; --volumes takes them along" in text) is not volumes
    assert ("remove books_app_1 with its volumes" in world.calls) is volumes
    assert "volume books_theirs" not in "".join(outcome.left)


def test_what_an_agent_has_missed_is_taken_out(books, run, world, an_instance):
    books()
    world.registry.away = True
    stale = an_instance(32001, id="node-1:books_app_0:8080")
    elsewhere = an_instance(32768, "10.0.0.9", "node-9:books_app_1:8080x", status="critical")
    world.registry.entries["books-ms"] += [stale, elsewhere]

    outcome, text = run()

    assert world.calls[-2:] == ["deregister node-1:books_app_1:8080", "deregister node-1:books_app_0:8080"]
    assert outcome.left == ("entry node-9:books_app_1:8080x at 10.0.0.9:32768",)
    assert "its registrator had missed it" in text


def test_an_entry_that_cannot_be_taken_out_is_named(books, run, world):
    books()
    world.registry.away = world.registry.refuses = True

    outcome, text = run()

    assert (outcome.error, outcome.left) == (None, ("entry node-1:books_app_1:8080 at 10.0.0.1:32768",))
    assert "is not taken out: Permission denied" in text


def test_the_history_goes_along(books, run, world):
    books()
    note.write(world.registry, "books-ms", note.Note("books", "app"))
    world.registry.keys[HISTORY] = releases.with_newest((), Release(1.0, "deploy", "done"))

    outcome, _ = run()

    assert outcome.removed[-1] == "history of 1 release(s)"
    assert world.registry.keys == {}


def test_the_history_of_a_service_that_goes_on_elsewhere_stays(books, run, world):
    books()
    world.registry.keys[HISTORY] = releases.with_newest((), Release(1.0, "deploy", "done"))

    assert run(proxy=False)[0].error is None
    assert HISTORY in world.registry.keys


def test_without_the_proxy_the_route_stays(books, run, world):
    books()

    outcome, _ = run(proxy=False)

    assert (world.calls, outcome.error, world.proxy.route) == ([ALL[0], *ALL[3:]], None, ROUTE)


@pytest.mark.parametrize("noted", [False, True])
def test_both_colors_go(noted, world, run, a_container, an_instance):
    world.proxy.route = Route("books-ms", ("/api",), color="blue")
    base = world.add(InMemoryCompose, "books", a_container("books_db_1", service="db"))
    base.networks = {"n1": "network books_default"}
    for color, port in (("blue", 32768), ("green", 32769)):
        name = f"books-{color}_app_1"
        made = a_container(name, port, project=f"books-{color}", labels={"SERVICE_NAME": f"books-ms-{color}"})
        world.add(InMemoryCompose, f"books-{color}", made)
        world.registry.entries[f"books-ms-{color}"] = [an_instance(port, id=f"n:{name}:8080")]
    # Not ours: it says another name.
    theirs = a_container("books-green_other_1", project="books-green", service="other", labels={})
    world.projects["books-green"].present.append(theirs)
    for one in ("blue", "green"):
        world.projects[f"books-{one}"].calls = world.calls
    base.remove = lambda container, **_more: (
        world.calls.append(f"remove {container.name}")
        or [one.present.remove(container) for one in world.projects.values() if container in one.present]
    )

    if noted:
        note.write(world.registry, "books-ms", note.Note("books", "app", {"app": ["db"], "db": []}))

    outcome, text = run()

    assert outcome.error is None, outcome.error
    gone = {call for call in world.calls if call.startswith("remove books")}
    needed = {"remove books_db_1"} if noted else set()
    assert gone == {"remove books-blue_app_1", "remove books-green_app_1"} | needed
    assert world.calls[1] == "drain 10.0.0.1:32768"
    assert outcome.left == (() if noted else ("service db", "network books_default"))
    assert ("what app needs of db is in no label of compose-v2: -f with the compose file" in text) is not noted
    assert world.registry.keys == {}


def test_a_stacks_services_go_with_their_standby(world, run, a_container, an_instance):
    found = [a_container("books_app.1.x", 32768), a_container("books_app-standby.1.y", service="app-standby")]
    stack = world.add(InMemoryStack, "books", *found)
    stack.restore = lambda before, *, deadline: (
        world.calls.append(f"delete {before[0].service}") or stack.present.clear()
    )
    world.registry.entries["books-ms"] = [an_instance(32768, id="node-1:books_app.1.x:8080")]

    outcome, _ = run()

    assert outcome.error is None, outcome.error
    assert world.calls == [*ALL[:3], "delete app-standby", "delete app"]
    assert outcome.left == ()


@pytest.mark.parametrize(("web_needs", "there"), [("", []), ("worker", ["worker", "web"])])
def test_what_was_deployed_along_goes_along_unless_it_is_needed(books, run, world, a_container, web_needs, there):
    compose = books(web=bool(web_needs), web_needs=web_needs)
    compose.present.append(a_container("books_worker_1", service="worker", labels=NOTHING))
    known = note.Note("books", "app", {"app": ["db"]}, ("worker",))
    note.write(world.registry, "books-ms", known)
    assert note.read(world.registry, "books-ms") == known

    run()

    assert sorted(container.service for container in compose.present) == sorted(there)


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]", b"{}", b'{"project": "a", "target": "b", "needs": []}'])
def test_a_note_that_nobody_of_us_wrote_is_none(world, value):
    world.registry.kv_put(note.NOTES + "books-ms", value)

    assert note.read(world.registry, "books-ms") is None

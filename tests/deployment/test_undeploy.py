"""What an undeploy does, in which order, and what it says is left. A real one is in tests/system."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import releases, settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import undeploy
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.failure import resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.removal import look, note, plan
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.steps import lock
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import PROVING, UNDEPLOYING, DeployRecord
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import DockerError, ProxyError, RegistryError, Stopped, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service
from jenkins_proxy.releases import Release
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose, InMemoryStack

ROUTE = Route("books-ms", ("/api",))
LABELS = {plan.NEEDS: "db:service_started:true"}
NOTHING = {plan.NEEDS: ""}
HISTORY = f"{releases.KEYS}books-ms"


class Registry:
    """Entries by service; an agent takes those out whose containers are gone, unless it is away."""

    def __init__(self, world) -> None:
        self.world, self.away, self.refuses = world, False, False
        self.entries: dict[str, list] = {}
        self.keys: dict[str, bytes] = {}

    def leader(self):
        return "10.0.0.1:8300"

    def missing_rights(self, _part):
        return []

    def instances(self, name, **_more):
        there = {container.name for one in self.world.projects.values() for container in one.present}
        found = self.entries.get(name, [])
        return [i for i in found if self.away or i.id.split(":")[1] in there], 1

    def deregister(self, entry_id):
        if self.refuses:
            raise RegistryError("Permission denied")
        self.world.calls.append(f"deregister {entry_id}")
        for name, found in self.entries.items():
            self.entries[name] = [instance for instance in found if instance.id != entry_id]

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def kv_delete(self, key):
        self.keys.pop(key, None)


class Proxy:
    """It has the route, and notes what becomes of it."""

    def __init__(self, world) -> None:
        self.world, self.route = world, ROUTE
        self.others: dict[str, int] = {}

    def routes(self):
        there = {"books-ms": 32768, **self.others}
        return [
            {"service": name, "instances": [{"address": "10.0.0.1", "port": port, "serving": True}]}
            for name, port in there.items()
        ]

    def get_route(self, _service):
        return {"route": self.route.as_dict()} if self.route else None

    def drain(self, _service, addresses, *_seconds, proxies):
        self.world.calls.append(f"drain {', '.join(map(str, addresses))}")
        return {"proxies": {"here": "serves"}}

    def remove_route(self, _service, *, dry_run=False, proxies=0.0):
        there = self.route is not None
        if not dry_run:
            self.world.calls.append("remove the route")
            self.route = None
        return {"removed": True, "proxies": {"here": "serves"}} if there else None


class World:
    """The projects of one engine, behind one registry and one proxy; ``calls`` is all that was done, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.projects: dict[str, InMemoryCompose] = {}
        self.registry, self.proxy = Registry(self), Proxy(self)

    def add(self, kind, name, *containers):
        made = kind(ComposeProject(name, {}), *containers)
        made.calls = self.calls
        self.projects[name] = made
        return made

    def orchestrator(self, _context, name, _kind):
        return self.projects.get(name) or self.add(InMemoryCompose, name)


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(colors, "orchestrator", made.orchestrator)
    unlocked = SimpleNamespace(ensure_held=lambda: None)
    monkeypatch.setattr(lock, "of_deploy", lambda *_words: _Locked(made, unlocked))
    return made


class _Locked:
    def __init__(self, world, held) -> None:
        self.world, self.held = world, held

    def __enter__(self):
        self.world.calls.append("lock")
        return self.held

    def __exit__(self, *_error):
        return None


@pytest.fixture
def books(world, a_container, an_instance):
    """app serves as books-ms and needs db; web has nothing to do with it unless it needs db."""

    def make(*, web: bool = False, web_needs: str = "db", used=None):
        found = [
            a_container("books_app_1", 32768, labels=LABELS),
            a_container("books_db_1", service="db", labels=NOTHING),
        ]
        if web:
            labels = {plan.NEEDS: f"{web_needs}:service_started:true"} if web_needs else NOTHING
            found.append(a_container("books_web_1", 32769, service="web", labels=labels))
        compose = world.add(InMemoryCompose, "books", *found)
        compose.networks = {"n1": "network books_default"}
        compose.used = used or {}
        world.registry.entries["books-ms"] = [an_instance(32768)]
        return compose

    return make


@pytest.fixture
def run(world):
    """``run()`` is the outcome of an undeploy of books-ms from the project books, and what it has said."""

    def undeployed(*, dry_run: bool = False, **options):
        stream = io.StringIO()
        timing = Timing(stale_grace=0.05, drain=1, drain_min=1)
        resolved, proxy = settings.resolve({}), world.proxy
        context = Context(resolved, Console(stream), world.registry, proxy, Deadline(20), timing=timing)
        options = UndeployOptions("books-ms", **{"project": "books", **options})
        outcome = undeploy.undeploy(options, context, dry_run=dry_run)
        return outcome, stream.getvalue()

    return undeployed


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


def test_a_wrong_project_takes_no_route_away(books, run, world):
    books()
    world.registry.entries.clear()
    note.write(world.registry, "books-ms", note.Note("books", "app"))

    outcome, _ = run(project="boks")

    assert outcome.error.message == "project boks has nothing of books-ms, which the last deploy put into books"
    assert outcome.error.hint.startswith("-p books undeploys that")
    assert world.calls == ["lock"]


@pytest.mark.parametrize("targets", [(), ("app",)])
def test_the_files_of_another_folder_take_no_other_service_away(books, run, world, monkeypatch, targets):
    compose = books()
    world.registry.entries.clear()
    files = ComposeProject("books", {"app": Service("app", ports=(Port(8080),)), "db": Service("db")})
    monkeypatch.setattr(look, "orchestrator", lambda *_words: (compose, files))

    outcome, _ = run(targets=targets)

    if targets:
        assert outcome.error is None, outcome.error
        return
    assert outcome.error.message == "app of project books is not known as books-ms"
    assert outcome.error.hint.endswith("--target app says that this one is meant")
    assert world.calls == ["lock"]


def test_a_target_that_is_misspelt_takes_nothing_away(books, run, world):
    compose = books()

    outcome, text = run(targets=("ap",))

    assert "project books has no ap: app, db" in text
    assert "the registry leads users of books-ms also to books_app_1 of project books" in outcome.error.message
    assert outcome.error.hint == "--target app takes it along"
    assert len(compose.present) == 2


def test_what_was_broken_off_in_another_project_is_left(books, run, world):
    books()
    IntentLog(world.registry, "books-ms").begin(DeployRecord("rolling", PROVING, "other", "app"))
    note.write(world.registry, "books-ms", note.Note("other", "app"))
    keys = dict(world.registry.keys)

    outcome, _ = run()

    assert isinstance(outcome.error, UsageError)
    assert "a deploy of books-ms into project other was broken off" in outcome.error.message
    assert (world.calls, world.registry.keys) == (["lock"], keys)


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]", b"{}", b'{"project": "a", "target": "b", "needs": []}'])
def test_a_note_that_nobody_of_us_wrote_is_none(world, value):
    world.registry.kv_put(note.NOTES + "books-ms", value)

    assert note.read(world.registry, "books-ms") is None


@pytest.mark.parametrize("failure", [Stopped("SIGTERM"), DockerError("the engine is away")])
def test_a_second_run_finishes_what_a_first_one_has_begun(books, run, world, failure, monkeypatch):
    compose = books()
    remove = compose.remove

    def broken(container, **more):
        remove(container, **more)
        raise failure

    monkeypatch.setattr(compose, "remove", broken)
    outcome, _ = run()
    assert outcome.error is failure
    assert outcome.text == (
        "gone: route /api, container books_app_1; still there: container books_db_1, network books_default; "
        "undeploy books-ms again takes the rest away"
    )
    assert [container.name for container in compose.present] == ["books_db_1"]
    record = IntentLog(world.registry, "books-ms").read()
    assert (record.phase, record.target, record.others) == (UNDEPLOYING, "app", ("db",))

    monkeypatch.setattr(compose, "remove", remove)
    outcome, _ = run()

    # Nothing but the record says by now that db was only needed by app.
    assert (outcome.error, outcome.left, compose.present) == (None, (), [])
    assert IntentLog(world.registry, "books-ms").read() is None


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        pytest.param(lambda world: setattr(world.registry, "leader", str), 4, "has no leader", id="registry"),
        pytest.param(
            lambda world: setattr(world.proxy, "remove_route", _refused), 4, "a token is needed", id="proxy's token"
        ),
    ],
)
def test_nothing_is_touched_while_something_is_missing(books, run, world, change, code, message):
    books()
    change(world)

    outcome, _ = run()

    assert outcome.error.exit_code == code
    assert message in outcome.error.message
    assert outcome.text == "nothing was changed"
    assert world.calls == []


def _refused(*_words, **_more):
    raise ProxyError("a token is needed")


def test_a_route_that_others_serve_is_not_taken_from_them(books, run, world, a_container, an_instance):
    compose = books()
    theirs = a_container("other_app_1", 32770, project="other")
    compose.running_anywhere = lambda: [*compose.present, theirs]
    world.registry.away = True
    world.registry.entries["books-ms"].append(an_instance(32770, id="node-1:other_app_1:8080"))

    outcome, _ = run()

    assert isinstance(outcome.error, UsageError)
    assert "other_app_1 of project other at 10.0.0.1:32770" in outcome.error.message
    assert world.calls == ["lock"]


def test_a_deploy_goes_on_where_an_undeploy_was_broken_off(books, run, world, monkeypatch):
    compose = books()
    monkeypatch.setattr(compose, "stop", _engine_is_away)
    run()
    log, calls = IntentLog(world.registry, "books-ms"), list(world.calls)
    left = resume.leftovers(log, SimpleNamespace(registry=world.registry))

    stream = io.StringIO()
    context = SimpleNamespace(console=Console(stream))
    resume.clean_up(left, context, UndeployOptions("books-ms"), None, orchestrator=compose, target="app")

    assert left.undeploying
    assert world.calls == calls
    assert "the undeploy of books-ms begun at" in stream.getvalue()


def _engine_is_away(_container):
    raise DockerError("the engine is away")

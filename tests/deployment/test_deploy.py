"""What a deploy returns when it fails on the way: an outcome, with what serves then. Real ones are in tests/system."""

from __future__ import annotations

import dataclasses
import io
import itertools
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import deploy
from jenkins_proxy.deployment.context import Check, Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.outcome import Outcome, Users
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.deployment.steps import drain, probe
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.deployment.strategies.record import HELD, RETIRING
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import DeployFailed, ProbeFailed, ProxyError, RegistryError, Stopped
from jenkins_proxy.model import Address, Route
from jenkins_proxy.orchestrator.project import COMPLETED, ComposeProject, Port, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose

ROUTE = Route("books-ms", ("/api",))
PROJECT = ComposeProject("books", {"app": Service("app", ports=(Port(8080),))})


class Registry:
    """It shows the one instance, and has keys."""

    def __init__(self, instance) -> None:
        self.instance = instance
        self.keys: dict[str, bytes] = {}

    def leader(self) -> str:
        return "10.0.0.1:8300"

    def missing_rights(self, _part: str) -> list:
        return []

    def instances(self, _name, *, index=0, wait=0.0):
        return [self.instance], index + 1

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def kv_delete(self, key):
        del self.keys[key]


class Proxy:
    """It has no route at first, and notes what becomes of a hold."""

    def __init__(self) -> None:
        self.route: Route | None = None
        self.calls: list[str] = []

    def hold(self, route, **_more):
        self.calls.append("hold")
        return {"id": "1a2b3c4d", "serving": [], "since": 0.0, "until": 1800.0}

    def promote(self, _service, _id, addresses, **_more):
        self.calls.append(f"promote {', '.join(map(str, addresses))}")
        return {"proxies": {"one": "serves"}}

    def demote(self, _service, _id, **_more):
        self.calls.append("demote")
        return {}

    def end_hold(self, _service, _id, **_more):
        self.calls.append("end_hold")
        return {}

    def count_users(self, _service, _id):
        self.calls.append("count_users")

    def users(self, _service):
        return self.met

    def stop_counting(self, _service, _id):
        return self.met

    met = {"requests": 10, "failed": 1, "p99_ms": 2.0, "exact": True}  # noqa: RUF012 - nobody changes it

    def drain(self, *_words, **_more):
        self.calls.append("drain")
        return {}

    def get_route(self, _service):
        return {"route": self.route.as_dict()} if self.route else None

    def put_route(self, route, **_more):
        self.route = route
        return {"instances": [], "applied": "runtime", "probe": {}}

    def remove_route(self, _service, **_more):
        self.route = None


class Starting(InMemoryCompose):
    """Its first ``up`` starts the one container, or fails after that."""

    def __init__(self, container, failure: BaseException | None = None) -> None:
        super().__init__(PROJECT)
        self.container, self.failure = container, failure

    def up(self, services=(), *, scale=None, deadline) -> None:
        super().up(services, scale=scale, deadline=deadline)
        self.present = [self.container]
        if self.failure:
            raise self.failure


@pytest.fixture
def context(an_instance, free_port):
    """With an entry where nobody listens, and little patience for it."""
    resolved = settings.resolve({"entry": f"http://127.0.0.1:{free_port()}"})
    console, registry = Console(io.StringIO()), Registry(an_instance(32768))
    return Context(resolved, console, registry, Proxy(), Deadline(20), timing=Timing(probe=0.1, poll=0.05))


@pytest.fixture
def deployment(context, a_container):
    """``deployment(lost, failure)`` is a first deploy, by recreate, that is about to begin; its lock is lost later."""

    def make(
        lost: Exception | None = None,
        failure: BaseException | None = None,
        route: Route | None = ROUTE,
        ensure=None,
        **more,
    ):
        more.setdefault("check", Check(timeout=0.1))
        begun = []

        def ensure_held() -> None:
            if lost and begun:
                raise lost
            if ensure:
                ensure()

        nonlocal context
        context = context.under(ensure_held)
        orchestrator = Starting(a_container("books_app_1", 32768), failure)
        ready = Ready(orchestrator, PROJECT, PROJECT.services["app"])
        strategy = select(DeployOptions("books-ms", "books", route=route, strategy="recreate", **more), context, ready)
        intent_log = IntentLog(context.registry, "books-ms")
        held = SimpleNamespace(ensure_held=ensure_held)
        candidates = deploy._begin(strategy, context, held, intent_log)
        begun.append(True)
        return deploy._Deployment(strategy, context, held, intent_log, candidates)

    return make


def test_nothing_is_reverted_once_the_lock_is_lost(deployment, context):
    begun = deployment(lost=LockLost("it was lost"))

    ended = begun.replace(Outcome())

    assert isinstance(ended.error, LockLost)
    assert (ended.phase, ended.reverted) == ("bring_up", False)
    assert ended.text == "not rolled back: what serves is now the other deploy's to decide"
    assert "restore" not in begun.strategy.orchestrator.calls
    assert begun.intent_log.read() is not None


@pytest.mark.parametrize("changes_before", range(9))
def test_whenever_the_lock_is_lost_nothing_more_is_changed_and_the_code_is_4(
    deployment, context, failing_late, changes_before
):
    """A deploy that fails and is reverted; the lock is lost before its first change, its second …"""
    lost = LockLost("the lock of books-ms was lost: another deploy had it meanwhile")
    begun, confirmed = failing_late(lost, changes_before)

    ended = begun.replace(Outcome(strategy="recreate"))

    if len(confirmed) <= changes_before:
        done = [*begun.strategy.orchestrator.calls, *context.proxy.calls]
        counts = [*map(len, confirmed), len(done)]
        assert max(later - sooner for sooner, later in itertools.pairwise(counts)) == 1, "each change is confirmed"
        assert (type(ended.error), ended.reverted) == (ProbeFailed, True), "it was not lost in time"
        return
    assert ended.error is lost
    assert (ended.error.exit_code, ended.reverted) == (4, False)
    assert ended.text == "not rolled back: what serves is now the other deploy's to decide"
    done = [*begun.strategy.orchestrator.calls, *context.proxy.calls]
    assert done == confirmed[changes_before], "what was done when the lock was lost is all"


@pytest.fixture
def failing_late(deployment, context):
    """``failing_late(lost, 3)`` is a deploy whose candidate does not answer; its lock is lost at the third question."""

    def make(lost: Exception, after: int):
        confirmed: list[list[str]] = []
        begun: list = []

        def ensure_held() -> None:
            if begun:
                confirmed.append([*begun[0].strategy.orchestrator.calls, *context.proxy.calls])
                if len(confirmed) > after:
                    raise lost

        begun.append(deployment(ensure=ensure_held))
        return begun[0], confirmed

    return make


@pytest.mark.parametrize(
    ("failure", "phase", "text"),
    [
        pytest.param(DeployFailed("no image"), "bring_up", "no image", id="an error"),
        pytest.param(Stopped("SIGTERM"), "bring_up", "stopped by SIGTERM", id="a signal"),
        pytest.param(KeyError("a bug"), "bring_up", "KeyError('a bug')", id="a bug"),
        pytest.param(None, "verify", "connection refused", id="a check that nobody answers"),
    ],
)
def test_what_fails_is_reverted_and_returned(deployment, context, failure, phase, text):
    begun = deployment(failure=failure)

    ended = begun.replace(Outcome(strategy="recreate"))

    assert ended.error is failure or isinstance(ended.error, ProbeFailed)
    assert (ended.strategy, ended.phase, ended.reverted) == ("recreate", phase, True)
    assert ended.text == "rolled back: nothing had served before, and what was started is removed"
    assert (ended.instances, ended.route, ended.url) == ((), None, "")
    assert [container.container for container in ended.failing] == ["books_app_1"]
    assert begun.strategy.orchestrator.present == []
    assert context.proxy.route is None
    # First the containers go, then the hold that keeps users from them; nobody was let in.
    assert context.proxy.calls == ["hold", "end_hold"]
    assert begun.intent_log.read() is None
    assert text in context.console._stream.getvalue()


@pytest.fixture
def verified(monkeypatch):
    """Every candidate answers well, and so does the users' door."""
    monkeypatch.setattr(probe, "until_new", lambda _asked, new, *_words, **_more: next(iter(new)))


def test_what_is_still_there_after_a_revert_is_named(deployment, monkeypatch):
    begun = deployment(failure=DeployFailed("no image"))
    monkeypatch.setattr(
        begun.strategy.orchestrator, "remove_belongings", lambda _keep, deadline: ["network books_default"]
    )

    assert begun.replace(Outcome()).text == "rolled back: nothing had served before; still there: network books_default"


def test_a_container_that_comes_after_the_revert_is_named(deployment, monkeypatch):
    """Compose was stopped, and the engine went on making what it had been asked for."""
    begun = deployment(failure=DeployFailed("no image"))
    orchestrator = begun.strategy.orchestrator
    restore = orchestrator.restore

    def late(before, *, deadline):
        restored = restore(before, deadline=deadline)
        orchestrator.present = [orchestrator.container]
        return restored

    monkeypatch.setattr(orchestrator, "restore", late)

    assert begun.replace(Outcome()).text == "rolled back: nothing had served before; still there: container books_app_1"


def test_a_first_deploy_whose_hold_cannot_be_ended_has_no_old_containers(deployment, context, monkeypatch):
    begun = deployment(failure=DeployFailed("no image"))

    def away(*_words, **_more):
        raise ProxyError("no proxy daemon answers")

    monkeypatch.setattr(context.proxy, "end_hold", away)

    text = begun.replace(Outcome()).text
    assert text == "nothing had served before, and what was started is removed: no proxy daemon answers"


@pytest.mark.parametrize(
    ("app", "db", "failing"),
    [
        pytest.param({"state": "running"}, {"state": "running"}, ["app"], id="the needs are well"),
        pytest.param({"state": "created"}, {"state": "exited", "exit_code": 3}, ["db"], id="the target never ran"),
        pytest.param({"state": "exited"}, {"state": "restarting"}, ["db", "app"], id="both say something"),
        pytest.param({"state": "running"}, {"state": "running", "health": "unhealthy"}, ["db", "app"], id="unhealthy"),
        pytest.param({"state": "running"}, {"state": "exited"}, ["app"], id="it has done its work"),
    ],
)
def test_whose_logs_say_why_a_deploy_fails(context, a_container, app, db, failing):
    known = {"app": Service("app", needs=frozenset({"db"})), "db": Service("db"), "old": Service("old")}
    project = ComposeProject("books", {**known, "other": Service("other")})
    failed_before = a_container("old", service="old", state="restarting")
    orchestrator = InMemoryCompose(project, failed_before)
    ready = Ready(orchestrator, project, project.services["app"], sides=project.sides("app", ["old"]))
    strategy = select(DeployOptions("books-ms", "books"), context, ready)
    unrelated = a_container("other", service="other", state="exited", exit_code=3)
    orchestrator.present += [a_container("app", **app), a_container("db", service="db", **db), unrelated]

    assert [container.name for container in strategy.failing()] == failing


def test_only_what_gets_new_containers_is_pulled(a_container):
    done = {"migrate": COMPLETED}
    app = Service("app", needs=frozenset({"db", "cache", "migrate"}), conditions=done)
    others = ("db", "cache", "migrate", "worker", "tests")
    project = ComposeProject("books", {"app": app, **{name: Service(name) for name in others}})
    running = [a_container(name, service=name) for name in ("db", "migrate", "worker")]
    orchestrator = InMemoryCompose(project, *running)
    ready = Ready(orchestrator, project, app, sides=project.sides("app", ["worker"]))

    assert sorted(deploy._pulled(ready)) == ["app", "cache", "migrate", "worker"]


def test_the_candidates_are_promoted_and_the_hold_ends_last(deployment, context, verified):
    ended = deployment().run(Outcome())

    assert ended.error is None
    assert context.proxy.calls == ["hold", "count_users", "promote 10.0.0.1:32768", "end_hold"]
    assert ended.users == Users(10, 1, 2.0, exact=True)
    assert "users meanwhile: 10 requests, 1 failed, p99 2 ms" in context.console._stream.getvalue()


def test_what_is_held_is_neither_promoted_nor_ended(deployment, context, verified, tmp_path):
    begun = deployment(hold=True, key_file=str(tmp_path / "key"))

    ended = begun.run(Outcome())

    assert context.proxy.calls == ["hold", "count_users"]
    assert (ended.candidate.id, ended.candidate.instances) == ("1a2b3c4d", ("10.0.0.1:32768",))
    record = begun.intent_log.read()
    assert (record.phase, record.hold) == (HELD, "1a2b3c4d")
    assert (tmp_path / "key").read_text().strip() == begun.candidates.key.text
    assert begun.candidates.key.text not in repr(begun.candidates)


@pytest.mark.parametrize(("max_errors", "code"), [(0, 6), (1, None)])
def test_more_errors_than_are_allowed_are_reverted(deployment, context, verified, max_errors, code):
    ended = deployment(max_errors=max_errors).run(Outcome())

    assert (ended.error.exit_code if ended.error else None) == code
    assert ended.reverted is bool(code)
    assert ("demote" in context.proxy.calls) is bool(code)


def test_a_daemon_that_cannot_count_is_one_line(deployment, context, verified, monkeypatch):
    def refuse(*_words) -> None:
        raise ProxyError("it is older")

    monkeypatch.setattr(context.proxy, "count_users", refuse)
    ended = deployment().run(Outcome())

    assert (ended.error, ended.users) == (None, None)
    assert "WARNING: users are not counted meanwhile: it is older" in context.console._stream.getvalue()


def test_a_deploy_past_the_proxy_ends_with_its_instances(deployment, context):
    begun = deployment(route=None)

    ended = begun.finish(begun.replace(Outcome()))

    assert ended.error is None
    assert ended.addresses == [Address("10.0.0.1", 32768)]
    assert begun.intent_log.read() is None
    # An undeploy may come without the files.
    assert note.read(context.registry, "books-ms") == note.Note("books", "app", {"app": []})


def test_a_registry_that_takes_no_note_fails_no_deploy(deployment, monkeypatch):
    begun = deployment(route=None)
    served = begun.replace(Outcome())

    def refuse(*_words):
        raise RegistryError("Permission denied")

    monkeypatch.setattr(note, "write", refuse)

    assert begun.finish(served).error is None


def test_what_fails_once_the_new_ones_serve_is_not_reverted(deployment, monkeypatch):
    begun = deployment(route=None)
    served = begun.replace(Outcome())

    def fail(_candidates) -> None:
        raise DeployFailed("the engine is away")

    monkeypatch.setattr(begun.strategy, "finish", fail)
    ended = begun.finish(served)

    assert isinstance(ended.error, DeployFailed)
    assert (ended.phase, ended.reverted) == ("retire", False)
    assert ended.text == "the new instances serve, and what is left of the old ones goes with the next deploy"
    assert ended.instances == served.instances
    assert begun.intent_log.read().phase == RETIRING


class TwoBatches(Starting):
    """It starts one container a batch."""

    def surge(self, service, count, *, deadline):
        self.calls.append("surge")
        self.present.append(self.container)
        return [self.container]


@pytest.mark.parametrize(("dies", "code"), [(False, None), (True, 5)])
def test_the_pause_between_two_batches_is_kept_and_looked_at(context, a_container, monkeypatch, dies, code):
    ready = Ready(TwoBatches(a_container("books_app_1", 32768)), PROJECT, PROJECT.services["app"])
    options = DeployOptions("books-ms", "books", strategy="rolling", scale=2, batch=1, batch_delay=0.2)
    strategy = select(options, context, ready)
    begun = deploy._Deployment(
        strategy, context, SimpleNamespace(ensure_held=lambda: None), IntentLog(context.registry, "books-ms"), None
    )
    looked = []

    def look(_orchestrator, containers) -> None:
        looked.append(len(containers))
        if dies:
            raise DeployFailed("it ended")

    monkeypatch.setattr(deploy.wait, "for_containers", lambda *_words, **_more: Matching((), (), ()))
    monkeypatch.setattr(deploy.wait, "check_alive", look)

    ended = begun.replace(Outcome())

    assert (ended.error.exit_code if ended.error else None) == code
    assert looked and (dies or context.deadline.elapsed >= 0.2)
    assert strategy.orchestrator.calls.count("surge") == (1 if dies else 2)


def test_a_line_names_three_instances_at_most(context, a_container, an_instance):
    many = [a_container(f"books_app_{number}", 32768 + number) for number in range(5)]
    registry = SimpleNamespace(instances=lambda _name: ([an_instance(32768 + n, id=str(n)) for n in range(5)], 1))
    now = dataclasses.replace(context, registry=registry)
    orchestrator = InMemoryCompose(PROJECT, *many)

    drain.retire(now, orchestrator, ROUTE, many)

    said = context.console._stream.getvalue()
    assert "draining 10.0.0.1:32768, 10.0.0.1:32769, 10.0.0.1:32770 and 2 more" in said
    assert "stopping books_app_0, books_app_1, books_app_2 and 2 more" in said
    assert orchestrator.present == []
    assert max(line.count("10.0.0.1:") for line in said.splitlines()) == 3

"""What ``3``, ``+2`` and ``-1`` mean, and what a scaling returns when it fails."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import scale
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps.feasible import target_count
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.errors import DeployFailed, Stopped, UsageError, WaitTimeout
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose


@pytest.mark.parametrize(
    ("amount", "running", "count"),
    [
        ("3", 1, 3),
        ("+2", 1, 3),
        ("-1", 3, 2),
        ("1", 1, 1),
        ("+0", 2, 2),
    ],
)
def test_count(amount, running, count):
    assert target_count(amount, running) == count


@pytest.mark.parametrize("amount", ["0", "-2"])
def test_none_left_has_to_be_meant(amount):
    with pytest.raises(UsageError, match="leaves no instance") as failure:
        target_count(amount, 2)

    assert "--allow-empty" in failure.value.hint
    assert target_count(amount, 2, allow_empty=True) == 0


def test_fewer_than_none():
    with pytest.raises(UsageError, match=r"scale -3: only 2 instance\(s\) run"):
        target_count("-3", 2, allow_empty=True)


@pytest.mark.parametrize("amount", ["", "x", "1.5", "--1", "+", "1 ", "99999", "3\n", "٣"])
def test_what_is_no_amount(amount):
    with pytest.raises(UsageError, match="is not a number of instances"):
        target_count(amount, 1)


class Growing(InMemoryCompose):
    """Scaling up starts a second container."""

    def __init__(self, old, new) -> None:
        super().__init__(ComposeProject("books", {"app": Service("app")}), old)
        self.new = new

    def scale(self, service, count, *, deadline) -> None:
        super().scale(service, count, deadline=deadline)
        if count > 1 and self.new not in self.present:
            self.present.append(self.new)


@pytest.fixture
def scaling(a_container, an_instance):
    """``scaling()`` is of one container, which serves past the proxy; a second one would never be registered."""

    def make(route: Route | None = None, lost: Exception | None = None, ensure=None) -> scale._Scaling:
        def ensure_held() -> None:
            if lost:
                raise lost
            if ensure:
                ensure()

        old, new = a_container("books_app_1", 32768), a_container("books_app_2", 32769)
        registry = SimpleNamespace(
            instances=lambda _name, *, index=0, wait=0.0: ([an_instance(32768)], index + 1),
            services=lambda: {},
            kv_put=lambda key, value: written.append((key, json.loads(value))),
            kv_delete=lambda key: written.append((key, None)),
        )
        context = Context(settings.resolve({}), Console(io.StringIO()), registry, SimpleNamespace(), Deadline(0.2))
        context = context.under(ensure_held)
        project = ComposeProject("books", {"app": Service("app")})
        held = SimpleNamespace(ensure_held=ensure_held)
        options = DeployOptions("books-ms", "books", route=route)
        orchestrator = Growing(old, new)
        ready, intent_log = Ready(orchestrator, project, project.services["app"]), IntentLog(registry, "books-ms")
        written.clear()
        return scale._Scaling(options, context, held, intent_log, orchestrator, ready, route, route, (old,))

    written: list[tuple[str, dict | None]] = []
    make.written = written
    return make


def test_a_new_one_that_fails_goes_and_the_old_ones_serve_on(scaling):
    begun = scaling()

    ended = begun.run(2, Outcome())

    assert isinstance(ended.error, WaitTimeout)
    assert (ended.phase, ended.reverted, ended.text) == ("wait", True, "back to 1 instance(s)")
    assert [instance.container for instance in ended.instances] == ["books_app_1"]
    assert [container.container for container in ended.failing] == ["books_app_2"]
    assert begun.orchestrator.calls == [
        "scale app 2",
        "stop books_app_2",
        "remove books_app_2 with its volumes",
        "scale app 1",
    ]


def test_what_ended_on_the_way_down_stays_so(scaling, monkeypatch):
    begun = scaling()

    def fail(*_arguments, **_more) -> None:
        raise DeployFailed("the engine is away")

    monkeypatch.setattr(begun.orchestrator, "scale", fail)
    ended = begun.run(0, Outcome())

    assert (ended.phase, ended.reverted) == ("bring_up", False)
    assert ended.text == "not rolled back: what has ended on the way down stays so"
    # It stays until a command ends in order.
    assert [record and record["phase"] for _key, record in scaling.written] == ["retiring"]


def test_what_is_drained_and_still_runs_goes_with_the_next_command(scaling, monkeypatch):
    begun = scaling()

    def stop(_container) -> None:
        raise DeployFailed("the engine is away")

    monkeypatch.setattr(begun.orchestrator, "stop", stop)
    ended = begun.run(0, Outcome())

    assert ended.text.endswith(
        "stays so, and books_app_1 may get no requests any more: the next deploy or scale takes them away"
    )
    [(key, record)] = scaling.written
    assert (key, record["phase"], record["old"]) == (
        "jenkins-proxy/deploys/books-ms",
        "retiring",
        [begun.running[0].id],
    )


def test_in_order_nothing_is_left_to_the_next_command(scaling):
    begun = scaling()

    assert begun.run(0, Outcome()).error is None
    assert [record and record["phase"] for _key, record in scaling.written] == ["retiring", None]


@pytest.mark.parametrize("good", range(6))
def test_whenever_the_lock_is_lost_nothing_more_is_changed(scaling, good):
    confirmed: list[list[str]] = []
    lost = LockLost("it was lost")

    def ensure() -> None:
        confirmed.append(list(begun.orchestrator.calls))
        if len(confirmed) > good:
            raise lost

    begun = scaling(ensure=ensure)
    ended = begun.run(2, Outcome())
    if len(confirmed) <= good:
        counts = [*map(len, confirmed), len(begun.orchestrator.calls)]
        # To stop a container and to remove it is one.
        assert max(later - sooner for sooner, later in itertools.pairwise(counts)) == 2, "each change is confirmed"
        assert (type(ended.error), ended.reverted) == (WaitTimeout, True), "it was not lost in time"
        return
    assert (ended.error, ended.reverted) == (lost, False)
    assert begun.orchestrator.calls == confirmed[good], "what was done when the lock was lost is all"


def test_stopped_before_its_first_change_it_says_that_there_was_none(scaling, monkeypatch):
    def get_route(_service) -> None:
        raise Stopped("SIGTERM")

    begun = scaling()
    monkeypatch.setattr(scale.preflight, "check", lambda _options, _context: begun.ready)
    monkeypatch.setattr(scale.lock, "of_deploy", lambda *_words: contextlib.nullcontext(begun.held))
    context = begun.context
    context.registry.kv_get = lambda _key: None
    context.proxy.get_route = get_route

    ended = scale.scale(begun.options, "+1", context)

    assert isinstance(ended.error, Stopped)
    assert ended.text == "nothing was changed"
    assert begun.orchestrator.calls == []


def test_once_the_lock_is_lost_nothing_is_put_back(scaling):
    ended = scaling(Route("books-ms", ("/api",)), LockLost("it was lost")).run(1, Outcome())

    assert isinstance(ended.error, LockLost)
    assert (ended.phase, ended.reverted, ended.text) == ("bring_up", False, "")

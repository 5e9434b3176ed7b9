"""What a deploy returns when it fails on the way: an outcome, with what serves then. Real ones are in tests/system."""

from __future__ import annotations

import itertools

import pytest

from jenkins_proxy.deployment.context import DeployOptions, Ready
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.deployment.strategies.record import RETIRING
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.errors import DeployFailed, ProbeFailed, ProxyError, Stopped
from jenkins_proxy.orchestrator.project import ComposeProject, Service
from tests.fixtures.orchestrators import InMemoryCompose


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

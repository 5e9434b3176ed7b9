"""What one command has begun and left, and the next one finishes."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.deployment.failure import resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.strategies.record import PROVING, UNDEPLOYING, DeployRecord
from jenkins_proxy.errors import DockerError, Stopped, UsageError


def test_what_was_broken_off_in_another_project_is_left(books, run, world):
    books()
    IntentLog(world.registry, "books-ms").begin(DeployRecord("rolling", PROVING, "other", "app"))
    note.write(world.registry, "books-ms", note.Note("other", "app"))
    keys = dict(world.registry.keys)

    outcome, _ = run()

    assert isinstance(outcome.error, UsageError)
    assert "a deploy of books-ms into project other was broken off" in outcome.error.message
    assert (world.calls, world.registry.keys) == (["lock"], keys)


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

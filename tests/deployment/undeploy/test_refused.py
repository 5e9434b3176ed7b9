"""When an undeploy touches nothing, and what it says then."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.removal import look, note
from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service


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

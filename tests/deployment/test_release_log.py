"""What deploys, promotions, aborts and rollbacks keep of themselves in the registry, and how a person reads it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import releases, settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import Candidate, Outcome, of_registry
from jenkins_proxy.errors import ProbeFailed, RegistryError, Stopped
from jenkins_proxy.model import Route
from jenkins_proxy.releases import Release
from jenkins_proxy.retry import Deadline

BUILD = "http://jenkins/job/books/7/"


class Keys:
    """A registry's keys. ``others`` are those who write between our reading and writing."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.index, self.others, self.away = 0, 0, False

    def kv_get(self, key):
        assert key == "jenkins-proxy/deploys/.releases/books-ms"
        if self.away:
            raise RegistryError("Permission denied")
        return None if self.value is None else SimpleNamespace(value=self.value, modify_index=self.index)

    def kv_put(self, _key, value, *, cas):
        if self.others:
            self.others -= 1
            self.value, self.index = releases.with_newest((), Release(1.0, "deploy", "done")), self.index + 1
        if cas != self.index:
            return False
        self.value, self.index = value, self.index + 1
        return True


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def record(keys, monkeypatch):
    """``record(outcome)`` keeps it, as a build of Jenkins; returns what is kept then, and what was said."""
    monkeypatch.setenv("BUILD_URL", BUILD)
    monkeypatch.setenv("LOGNAME", "jenkins")

    def run(outcome: Outcome, command: str = "deploy", **more):
        stream = io.StringIO()
        context = Context(settings.resolve({}), Console(stream), keys, None, Deadline(20))
        release_log.record(context, "books-ms", command, outcome, **more)
        return ([] if keys.away else release_log.read(keys, "books-ms")), stream.getvalue()

    return run


def test_a_deploy_says_when_which_image_which_build_and_who(record, an_instance, a_container) -> None:
    outcome = Outcome(
        strategy="blue-green", route=Route("books-ms", ("/",), color="green"), instances=of_registry([an_instance()])
    )
    image_id = "sha256:" + "ab" * 32
    (release,), text = record(outcome.with_image_of([a_container(image_id=image_id)]))
    assert (release.command, release.outcome, release.code) == ("deploy", "done", 0)
    assert (release.image, release.image_id) == ("vfarcic/books-ms:1.2", image_id)
    assert (release.color, release.strategy, release.instances) == ("green", "blue-green", 1)
    assert (release.who, release.build, text) == ("jenkins", BUILD, "")
    assert release.time > 1.7e9 and release.seconds >= 0


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome().failed(ProbeFailed("it logged: password=hunter2"), "verify"), ("failed", 6, "verify")),
        (Outcome().failed(Stopped("SIGTERM"), "wait"), ("stopped", 143, "wait")),
        (Outcome().failed(KeyError("a bug"), "wait"), ("failed", 1, "wait")),
        (Outcome(candidate=Candidate("1a2b", "http://x/", (), "X", 1.0)), ("held", 0, "")),
    ],
)
def test_what_became_of_it_and_never_a_message(record, keys, outcome, said) -> None:
    (release,), _ = record(outcome)
    assert (release.outcome, release.code, release.phase) == said
    assert b"hunter2" not in keys.value


def test_who_knows_no_image_takes_that_of_the_release_it_is_about(record) -> None:
    blue, green = (Route("books-ms", ("/",), color=color) for color in ("blue", "green"))
    record(Outcome(route=blue, image="books:1"))
    record(Outcome(route=green, image="books:2"))
    record(Outcome(route=green, image="books:3").failed(ProbeFailed("it answers 500")))
    (newest, *_), _ = record(Outcome(route=blue), "rollback", like=lambda one: one.color == "blue")
    assert (newest.command, newest.image, newest.color) == ("rollback", "books:1", "blue")


@pytest.mark.parametrize("foreign", [b"", b"\xff", b'{"releases": 7}'])
def test_what_stands_there_and_is_no_history_is_written_over(record, keys, foreign) -> None:
    keys.value, keys.index = foreign, 7
    assert len(record(Outcome())[0]) == 1


def test_of_two_at_a_time_both_are_kept(record, keys) -> None:
    keys.others = 1
    assert len(record(Outcome())[0]) == 2


@pytest.mark.parametrize("trouble", [{"away": True}, {"others": 99}])
def test_a_registry_that_does_not_take_it_fails_nothing_and_is_said(record, keys, trouble) -> None:
    vars(keys).update(trouble)
    _, text = record(Outcome())
    assert text.startswith("[jenkins-proxy] WARNING: this release of books-ms is not in its history: ")


def test_the_table() -> None:
    found = [
        Release(0.0, "deploy", "failed", 6, "verify", "books:2", "", "green", "", 1, 3.25, "ci", "a1", BUILD),
        Release(1.7e9, "abort", "done"),
    ]
    assert release_log.table(found) == [
        "WHEN                  WHAT          OUTCOME               IMAGE    INSTANCES  SECONDS  BY     BUILD",
        "1970-01-01T00:00:00Z  deploy green  failed in verify (6)  books:2  1          3.2      ci@a1  "
        "http://jenkins/job/books/7/",
        "2023-11-14T22:13:20Z  abort         done                  -        0          0.0      -      -",
    ]

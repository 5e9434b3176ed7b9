"""What a command does about what the one before it has left: who is refused, what is cleaned up, and in which order."""

from __future__ import annotations

import io
import json
import time
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure import resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.steps import hold
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import HELD, PROVING, DeployRecord
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose

ROUTE = Route("books-ms", ("/api",))
PROJECT = ComposeProject("books", {"app": Service("app", ports=(Port(8080),))})


class Keys:
    """A registry that holds keys and no instance."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def instances(self, _name):
        return [], 1


@pytest.fixture
def left(a_container, monkeypatch):
    """``left(phase, kept=…)`` is a recovery after a deploy that has left so much, and what was done, in order."""

    def make(phase: str = "", *, kept: bool = False, held: bool = True, seconds: float = 60.0):
        old, new = a_container("old", 32768), a_container("new", 32769)
        compose = InMemoryCompose(PROJECT, old, new)
        monkeypatch.setattr(colors, "orchestrator", lambda *_words: compose)
        proxy = SimpleNamespace(
            get_route=lambda _service: {"route": ROUTE.as_dict()},
            end_hold=lambda _service, hold_id, **_more: compose.calls.append(f"end {hold_id}") or {},
        )
        context = Context(settings.resolve({}), Console(io.StringIO()), Keys(), proxy, Deadline(20))
        log = IntentLog(context.registry, "books-ms")
        if phase:
            log.begin(DeployRecord("rolling", phase, "books", "app", (old.id,), 2, ROUTE, "now", hold="1a2b3c4d"))
        if held:
            document = {
                "id": "1a2b3c4d",
                "route": ROUTE.as_dict(),
                "serving": ["10.0.0.1:32768"],
                "phase": "verify",
                "since": time.time(),
                "until": time.time() + seconds,
                "holder": {"name": "jenkins-books-17", "build": "http://ci/17/", "kept": kept},
            }
            context.registry.kv_put(hold.PREFIX + "books-ms", json.dumps(document).encode())
        ready = Ready(compose, PROJECT, PROJECT.services["app"])
        options = DeployOptions("books-ms", "books", route=ROUTE)
        recovery = resume.recover(log, context, ready, options, SimpleNamespace(ensure_held=lambda: None))
        return recovery, compose.calls, context.console._stream.getvalue()

    return make


def test_after_an_orderly_end_there_is_nothing_to_do(left):
    recovery, calls, text = left(held=False)

    assert (recovery, calls, text) == (resume.Recovery(), [], "")


def test_first_the_candidates_go_and_then_the_hold(left):
    recovery, calls, text = left(PROVING)

    assert calls == ["stop new", "remove new with its volumes", "end 1a2b3c4d"]
    assert (recovery.error, recovery.count) == (None, 2)
    assert "was broken off while proving (rolling)" in text


def test_a_hold_without_a_record_ends(left):
    recovery, calls, text = left()

    assert (recovery.error, calls) == (None, ["end 1a2b3c4d"])
    assert "books-ms is held by jenkins-books-17 (http://ci/17/) since" in text


def test_a_record_without_a_hold_ends(left):
    recovery, calls, _ = left(PROVING, held=False)

    assert (recovery.error, calls) == (None, ["stop new", "remove new with its volumes"])


@pytest.mark.parametrize("phase", [HELD, ""])
def test_what_is_kept_on_purpose_is_left_to_promote_and_abort(left, phase):
    recovery, calls, _ = left(phase, kept=True)

    assert calls == []
    assert recovery.error.exit_code == 4
    assert recovery.error.message.startswith("books-ms is held by jenkins-books-17 (http://ci/17/) since ")
    assert recovery.error.message.endswith(": jenkins-proxy promote books-ms or abort books-ms ends it")
    assert recovery.text == "nothing was changed"


@pytest.mark.parametrize(
    ("phase", "seconds"), [pytest.param(HELD, -1.0, id="its time is over"), pytest.param(PROVING, 60.0, id="killed")]
)
def test_what_is_kept_no_more_is_cleaned_up(left, phase, seconds):
    recovery, calls, _ = left(phase, kept=True, seconds=seconds)

    assert (recovery.error, calls) == (None, ["stop new", "remove new with its volumes", "end 1a2b3c4d"])


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]", b"{}", b'{"id": "1", "holder": []}'])
def test_what_is_no_hold_is_none(value):
    registry = Keys()
    registry.kv_put(hold.PREFIX + "books-ms", value)

    assert hold.read(registry, "books-ms") is None

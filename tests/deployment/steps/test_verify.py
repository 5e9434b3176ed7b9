"""Each candidate has to answer for itself, and what cannot get better is not waited for."""

from __future__ import annotations

import contextlib
import io
import time
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.steps import verify, wait
from jenkins_proxy.deployment.steps.hold import KEY_HEADER, Key
from jenkins_proxy.deployment.steps.probe import INSTANCE_HEADER
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import ProbeFailed, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.retry import Deadline
from tests.fixtures.http_server import Handler, serving

ONE, OTHER = Address("10.0.0.1", 32768), Address("10.0.0.1", 32769)
ROUTE = Route("books-ms", ("/api",))


@pytest.fixture
def entry():
    """``entry({"10.0.0.1:32768": [503, 200]})`` is an entry whose candidates answer so, the last one again and again.

    What it cannot reach it answers with a 503 of its own. With the requests that it has seen.
    """
    stack = contextlib.ExitStack()

    def start(answers: dict[str, list[int]]):
        seen: list[tuple[str, str]] = []

        class Answers(Handler):
            def do_GET(self):
                named = self.headers.get(INSTANCE_HEADER, "")
                seen.append((named, self.headers.get(KEY_HEADER, "")))
                left = answers.get(named)
                self.send_response(503 if not left else left.pop(0) if len(left) > 1 else left[0])
                if left:
                    self.send_header(INSTANCE_HEADER, named)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return stack.enter_context(serving(Answers)).url, seen

    with stack:
        yield start


def run(url: str, *addresses: Address, check: Check | None = None, route: Route = ROUTE, **more) -> None:
    resolved = settings.resolve({"entry": url})
    console = Console(io.StringIO())
    context = Context(resolved, console, None, None, Deadline(20), timing=Timing(poll=0.05))
    verify.candidates(context, route, check or Check(timeout=3.0), Key("the-key"), addresses, **more)
    assert "the-key" not in console._stream.getvalue()


def test_each_one_is_asked_by_name_with_the_key(entry):
    url, seen = entry({str(ONE): [200], str(OTHER): [204]})

    run(url, ONE, OTHER)

    assert sorted(seen) == [(str(ONE), "the-key"), (str(OTHER), "the-key")]


def test_one_bad_one_is_enough(entry):
    url, _ = entry({str(ONE): [200], str(OTHER): [500]})

    with pytest.raises(ProbeFailed, match=f"HTTP 500 from {OTHER}"):
        run(url, ONE, OTHER, check=Check(timeout=0.5))


def test_what_is_not_reached_yet_is_waited_for_longer_than_what_answers_with_errors(entry):
    url, _ = entry({str(OTHER): [500]})
    begun = time.monotonic()

    with pytest.raises(ProbeFailed, match="HTTP 503: an empty body"):
        run(url, ONE, check=Check(timeout=1.5))
    absent = time.monotonic() - begun
    with pytest.raises(ProbeFailed, match=f"HTTP 500 from {OTHER}"):
        run(url, OTHER, check=Check(timeout=1.5))

    assert absent > 1.5
    assert time.monotonic() - begun - absent < 1.3


@pytest.mark.parametrize(
    ("facts", "error"),
    [({"state": "exited", "exit_code": 3}, wait.ContainerDied), ({"health": "unhealthy"}, wait.Unhealthy)],
)
def test_a_container_that_ends_or_is_unhealthy_ends_it_then(entry, a_container, facts, error):
    url, _ = entry({})
    container = a_container("books_app_1", 32768)
    seen = a_container("books_app_1", 32768, **facts)
    orchestrator = SimpleNamespace(
        containers=lambda: [seen], logs=lambda _container: ["boom"], health_output=lambda _container: ""
    )
    begun = time.monotonic()

    with pytest.raises(error):
        run(url, ONE, check=Check(timeout=10.0), orchestrator=orchestrator, containers=[container])

    assert time.monotonic() - begun < 3


def test_without_a_page_there_is_nothing_to_ask_for(entry):
    url, seen = entry({})

    with pytest.raises(UsageError, match="names no page"):
        run(url, ONE, route=Route("books-ms", ("/a.*",), path_type="path_reg"))
    assert seen == []

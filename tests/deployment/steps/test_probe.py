"""The proof that users reach a new instance: what counts, what does not, and what is said then."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from jenkins_proxy.deployment.context import Check, Statuses
from jenkins_proxy.deployment.steps import probe
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import ProbeFailed
from jenkins_proxy.model import Address, Route
from jenkins_proxy.retry import Deadline
from tests.fixtures.http_server import Handler, serving

NEW, OLD = Address("10.0.0.1", 32768), Address("10.0.0.1", 32767)
BY_NEW, BY_OLD = {probe.INSTANCE_HEADER: str(NEW)}, {probe.INSTANCE_HEADER: str(OLD)}
PROBE_KEY = probe.key_header({"probe": {"header": "X-Jenkins-Proxy-Probe", "key": "the-key"}})


@pytest.fixture
def serve():
    """``serve((200, headers, b"body"), …)`` answers so, the last one again and again: ``(url, requests seen)``."""
    stack = contextlib.ExitStack()

    def start(*answers):
        seen, left = [], list(answers)

        class Answers(Handler):
            def do_GET(self):
                seen.append((self.path, dict(self.headers)))
                status, headers, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return stack.enter_context(serving(Answers)).url, seen

    with stack:
        yield start


def ask(url: str, seconds: float = 20, *, timing: Timing | None = None, check: Check | None = None, **more) -> Address:
    asked = probe.question(url, Route("books-ms", **{"paths": ("/api",), **more}), check or Check(), PROBE_KEY)
    return probe.until_new(asked, [NEW], Deadline(seconds), timing)


@pytest.mark.parametrize("status", [200, 204, 302, 401, 403])
def test_a_good_answer_of_a_new_instance_is_the_proof(serve, status):
    url, _ = serve((status, BY_NEW, b""))

    assert ask(url) == NEW


def test_it_asks_as_a_user_would_with_the_key_that_names_the_instance(serve):
    url, seen = serve((200, BY_NEW, b""))

    ask(url, domains=("*.example.com", "shop.example.com"))

    path, headers = seen[0]
    assert path == "/api"
    assert headers["Host"] == "shop.example.com"
    assert headers["X-Jenkins-Proxy-Probe"] == "the-key"


def test_it_goes_on_while_old_instances_and_errors_answer(serve):
    url, seen = serve((503, {}, b"no"), (200, BY_OLD, b""), (500, BY_NEW, b""), (200, BY_NEW, b""))

    assert ask(url) == NEW
    assert len(seen) == 4


def test_redirects_are_not_followed(serve):
    url, seen = serve((301, {**BY_NEW, "Location": "http://127.0.0.1:1/"}, b""))

    assert ask(url) == NEW
    assert len(seen) == 1


def test_proxies_from_the_environment_are_not_for_an_internal_entry(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url, _ = serve((200, BY_NEW, b""))

    assert ask(url) == NEW


@pytest.mark.parametrize(
    ("answer", "text", "hint"),
    [
        pytest.param(
            (500, BY_NEW, b"\n  Traceback: boom\nmore"),
            "HTTP 500 from 10.0.0.1:32768: Traceback: boom",
            "--check-path",
            id="an error of the new instance",
        ),
        pytest.param((404, {}, b""), "HTTP 404: an empty body", "--check-path", id="no such page"),
        pytest.param(
            (500, {**BY_NEW, "Content-Encoding": "gzip"}, b"Traceback: boom"),
            "HTTP 500 from 10.0.0.1:32768: a body that breaks off",
            "--check-path",
            id="broken error page",
        ),
        pytest.param((200, {}, b"<html>It works!"), "not through this proxy", "--entry", id="another web server"),
        pytest.param((200, BY_OLD, b""), "only from 10.0.0.1:32767", "reach the new", id="only old instances"),
    ],
)
def test_what_never_becomes_good_fails_with_what_was_seen(serve, answer, text, hint):
    url, _ = serve(answer)

    with pytest.raises(ProbeFailed) as failure:
        ask(url, seconds=0.1)

    assert failure.value.message.startswith(f"GET {url}/api: ")
    assert text in failure.value.message
    assert hint in failure.value.hint


def test_errors_of_a_new_instance_get_less_patience_than_silence(serve):
    url, seen = serve((500, BY_OLD, b""), (500, BY_NEW, b"boom"), (200, BY_NEW, b""))

    with pytest.raises(ProbeFailed, match="HTTP 500 from 10.0.0.1:32768: boom"):
        ask(url, timing=Timing(probe_error=0.0))
    assert len(seen) == 2


def test_the_error_of_a_new_instance_is_told_rather_than_that_old_ones_answer(serve):
    url, _ = serve((500, BY_NEW, b"boom"), (200, BY_OLD, b""))

    with pytest.raises(ProbeFailed, match="HTTP 500 from 10.0.0.1:32768: boom"):
        ask(url, seconds=0.3)


def test_an_entry_where_nobody_listens(free_port):
    with pytest.raises(ProbeFailed) as failure:
        ask(f"http://127.0.0.1:{free_port()}", seconds=0.1)

    assert "connection refused" in failure.value.message
    assert "--entry" in failure.value.hint


@pytest.mark.parametrize(
    ("check", "route", "path", "host"),
    [
        (Check(), Route("s", ("/a", "/b")), "/a", ""),
        (Check(), Route("s", ("/a",), ("a.example",), check_path="/health"), "/health", "a.example"),
        (
            Check("/other", host="b.example"),
            Route("s", ("/a",), ("a.example",), check_path="/h"),
            "/other",
            "b.example",
        ),
        (Check(), Route("s", ("/.*/a",), path_type="path_reg"), "", ""),
    ],
)
def test_what_is_asked_for(check, route, path, host):
    asked = probe.question("http://entry", route, check, PROBE_KEY)

    assert (asked.path, asked.host) == (path, host)
    assert "the-key" not in repr(asked)


def test_so_many_good_answers_in_a_row(serve):
    url, seen = serve((200, BY_NEW, b""), (500, BY_NEW, b""), (200, BY_NEW, b""))

    assert ask(url, check=Check(count=3)) == NEW
    assert len(seen) == 5


def test_other_statuses_may_be_the_good_ones(serve):
    url, seen = serve((200, BY_NEW, b""), (404, BY_NEW, b""))

    assert ask(url, check=Check(statuses=Statuses.parse("404"))) == NEW
    assert len(seen) == 2


@pytest.mark.parametrize("text", ["", "2xx", "200-", "99", "600", "399-200", "200,,401", "200 "])
def test_what_is_no_status(text):
    with pytest.raises(ValueError, match="is not a status"):
        Statuses.parse(text)


def test_statuses_are_ranges_with_both_ends():
    statuses = Statuses.parse("200-204,401")

    assert [code for code in (199, 200, 204, 205, 401, 403) if code in statuses] == [200, 204, 401]
    assert str(statuses) == "200-204,401"


def row(state: str, waiting: float = 0.0, address: Address = NEW) -> dict:
    return {"address": address.host, "port": address.port, "state": state, "waiting_seconds": waiting}


@pytest.mark.parametrize(
    ("answers", "serving", "connected"),
    [
        ([[row("candidate")]], False, [NEW]),
        ([[row("serving")]], True, [NEW]),
        ([None, [], [row("waiting")], [row("candidate", 0.001)], [row("candidate")]], False, [NEW]),
        ([[row("candidate")], [row("serving", address=OLD)], [row("serving")]], True, [NEW]),
    ],
)
def test_an_instance_of_connections_is_proven_by_one_that_the_proxy_makes(answers, serving, connected):
    asked = []

    def get_route(service):
        asked.append(service)
        found = answers[min(len(asked), len(answers)) - 1]
        return None if found is None else {"instances": found}

    context = SimpleNamespace(proxy=SimpleNamespace(get_route=get_route))
    found = probe.until_connected(context, "redis", [NEW], Deadline(20), serving=serving, sleep=lambda _seconds: None)
    assert found == connected
    assert asked == ["redis"] * len(answers)


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        ([], "is not known to the proxy"),
        ([row("candidate", 1.5)], "takes no connection, or drops it at once"),
        ([row("draining")], "is draining"),
    ],
)
def test_what_takes_no_connection_is_named_with_what_keeps_it(instances, says):
    context = SimpleNamespace(proxy=SimpleNamespace(get_route=lambda _service: {"instances": instances}))
    with pytest.raises(ProbeFailed) as failed:
        probe.until_connected(context, "redis", [NEW], Deadline(0.01), sleep=lambda _seconds: None)
    assert failed.value.message == f"connections of redis: {NEW} {says}"


def test_all_candidates_have_to_take_one():
    context = SimpleNamespace(proxy=SimpleNamespace(get_route=lambda _service: {"instances": [row("candidate")]}))
    with pytest.raises(ProbeFailed, match="10.0.0.1:32767 is not known"):
        probe.until_connected(context, "redis", [NEW, OLD], Deadline(0.01), sleep=lambda _seconds: None)

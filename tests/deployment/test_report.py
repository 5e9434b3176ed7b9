"""The machine's answer is written whatever happens."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import Candidate, FailedContainer, Outcome, Users, of_matching
from jenkins_proxy.deployment.phases import PHASES, Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import Stopped, UsageError, WaitTimeout
from jenkins_proxy.model import Route

KEYS = ["service", "status", "strategy", "orchestrator", "instances", "route", "url", "timings", "rolled_back", "error"]


def ends(outcome: Outcome):
    """A command that ends so."""
    return lambda phases: outcome


def test_it_goes_to_stdout_without_a_file(capsys):
    run_reported("books-ms", "", ends(Outcome()))

    data = json.loads(capsys.readouterr().out)
    assert list(data) == KEYS
    assert data["status"] == "done"
    assert data["error"] is None
    assert list(data["timings"]) == [*PHASES, "total"]


def test_it_goes_to_the_file_and_nothing_to_stdout(tmp_path, capsys, a_container, an_instance):
    file = tmp_path / "report.json"
    instances = of_matching(matching.match([a_container("books_app_1", 32768)], [an_instance()]))
    run_reported("books-ms", str(file), ends(Outcome(route=Route("books-ms", ("/api",)), instances=instances)))

    data = json.loads(file.read_text())
    assert data["instances"] == [
        {
            "address": "10.0.0.1",
            "port": 32768,
            "id": "node-1:books_app_1:8080",
            "container": "books_app_1",
            "node": "consul",
        }
    ]
    assert data["route"]["paths"] == ["/api"]
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_it_goes_to_both_when_both_are_asked_for(tmp_path, capsys):
    file = tmp_path / "report.json"
    run_reported("books-ms", str(file), ends(Outcome()), as_json=True)

    assert json.loads(capsys.readouterr().out)["service"] == json.loads(file.read_text())["service"] == "books-ms"


def test_a_dry_run_has_a_plan(capsys):
    run_reported("books-ms", "", ends(Outcome(plan={"steps": []})))

    data = json.loads(capsys.readouterr().out)
    assert (data["status"], data["plan"]) == ("planned", {"steps": []})


def test_what_is_held_and_what_users_met(capsys):
    candidate = Candidate("1a2b3c4d", "http://e/api", ("10.0.0.1:1",), "X-Jenkins-Proxy-Candidate", 1800.5)
    run_reported("books-ms", "", ends(Outcome(candidate=candidate, users=Users(4812, 0, 12.3, exact=True))))

    data = json.loads(capsys.readouterr().out)
    assert data["status"] == "held"
    assert data["candidate"] == {
        "id": "1a2b3c4d",
        "url": "http://e/api",
        "instances": ["10.0.0.1:1"],
        "header_name": "X-Jenkins-Proxy-Candidate",
        "until": 1800.5,
    }
    assert data["users"] == {"requests": 4812, "failed": 0, "p99_ms": 12.3, "exact": True}


@pytest.mark.parametrize(
    ("users", "text"),
    [
        (Users(4812, 0, 12.3, exact=True), "users meanwhile: 4,812 requests, 0 failed, p99 12 ms"),
        (Users(1, 1, 5.0, exact=False), "users meanwhile: at least 1 requests, 1 failed, p99 5 ms"),
        (Users(0, 0, None, exact=True), "users meanwhile: 0 requests, 0 failed"),
    ],
)
def test_what_users_met_in_words(users, text):
    assert str(users) == text


def test_the_containers_that_failed(capsys):
    failed = FailedContainer("books_app_1", "exited", "", "", ("boom",))
    with pytest.raises(WaitTimeout):
        run_reported("books-ms", "", ends(Outcome(failing=(failed,)).failed(WaitTimeout("nobody came"))))

    assert json.loads(capsys.readouterr().out)["failing"] == [
        {"container": "books_app_1", "state": "exited", "health": "", "health_output": "", "log": ["boom"]}
    ]


def raises(phases: Phases) -> Outcome:
    with phases.phase("wait"):
        raise WaitTimeout("nobody came", "look there")


@pytest.mark.parametrize("command", [raises, ends(Outcome().failed(WaitTimeout("nobody came", "look there")))])
def test_it_has_an_error(tmp_path, command):
    file = tmp_path / "report.json"
    with pytest.raises(WaitTimeout):
        run_reported("books-ms", str(file), command)

    data = json.loads(file.read_text())
    assert data["status"] == "failed"
    assert data["error"] == {"code": 3, "message": "nobody came", "hint": "look there"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (WaitTimeout("nobody came"), "nobody came; rolled back"),
        (UsageError("no such file"), "no such file"),
    ],
)
def test_what_serves_afterwards_is_part_of_the_error(error, message, capsys):
    with pytest.raises(type(error)) as raised:
        run_reported("books-ms", "", ends(Outcome(reverted=True).failed(error, text="rolled back")))

    assert raised.value.message == message
    data = json.loads(capsys.readouterr().out)
    assert (data["error"]["message"], data["rolled_back"]) == (message, True)


def test_it_has_a_bug(capsys):
    with pytest.raises(KeyError):
        run_reported("books-ms", "", ends(Outcome().failed(KeyError("probe"), text="rolled back")))

    message = "a bug: KeyError('probe'); rolled back"
    assert json.loads(capsys.readouterr().out)["error"] == {"code": 1, "message": message, "hint": ""}


def test_a_file_that_cannot_be_written_in_the_end_does_not_hide_a_failure(tmp_path, capsys):
    folder = tmp_path / "gone"
    file = str(folder / "report.json")

    def command(outcome: Outcome):
        def run(_phases: Phases) -> Outcome:
            folder.rmdir()
            return outcome

        folder.mkdir()
        return run

    lost = "--report .* cannot be written: .*; books-ms itself: done"
    with pytest.raises(UsageError, match=lost):
        run_reported("books-ms", file, command(Outcome()))
    with pytest.raises(WaitTimeout, match="nobody came"):
        run_reported("books-ms", file, command(Outcome().failed(WaitTimeout("nobody came"))))
    assert "WARNING: --report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Outcome().failed(Stopped("SIGTERM"), "bring_up"), "stopped by SIGTERM during bring_up"),
        (Outcome().failed(Stopped("SIGINT"), text="rolled back"), "stopped by SIGINT; rolled back"),
    ],
)
def test_it_has_a_stop_and_the_phase(tmp_path, outcome, message):
    file = tmp_path / "report.json"
    with pytest.raises(Stopped) as caught:
        run_reported("books-ms", str(file), ends(outcome))

    assert caught.value.message == message, "the console says what the report does"
    data = json.loads(file.read_text())
    assert data["status"] == "stopped"
    assert data["error"] == {"code": 143, "message": message, "hint": ""}


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Outcome(), "stopped by SIGTERM; all was done by then: 0 instance(s) serve"),
        (
            Outcome(candidate=Candidate("1a", "", (), "X", 0.0)),
            "stopped by SIGTERM; all was done by then: 0 instance(s) are held",
        ),
        (Outcome(removed=("container x",)), "stopped by SIGTERM; all was done by then"),
        (Outcome(plan={}), "stopped by SIGTERM; nothing was changed"),
        (Outcome().failed(WaitTimeout("not passing"), text="rolled back"), "not passing; rolled back"),
    ],
)
def test_a_stop_while_others_are_told_says_what_is_so(capsys, outcome, message):
    """A notification may take its 20 seconds."""

    def tell(_report) -> None:
        raise Stopped("SIGTERM")

    with pytest.raises((Stopped, WaitTimeout)) as caught:
        run_reported("books-ms", "", ends(outcome), tell=tell)

    assert caught.value.message == message
    assert json.loads(capsys.readouterr().out)["service"] == "books-ms", "once"


def test_a_stop_that_a_command_lets_through_has_its_phase(capsys):
    def command(phases: Phases) -> Outcome:
        with phases.phase("bring_up"):
            raise Stopped("SIGTERM")

    with pytest.raises(Stopped):
        run_reported("books-ms", "", command)

    assert json.loads(capsys.readouterr().out)["error"]["message"] == "stopped by SIGTERM during bring_up"


def test_a_file_that_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    file = str(tmp_path / "no" / "report.json")
    with pytest.raises(UsageError, match="cannot be written"):
        run_reported("books-ms", file, lambda phases: pytest.fail("it has begun"))


def test_a_file_that_was_there_is_replaced_in_one_step(tmp_path):
    file = tmp_path / "report.json"
    file.write_text("{}")
    with file.open() as open_before:
        run_reported("books-ms", str(file), ends(Outcome()))
        assert open_before.read() == "{}"
    assert json.loads(file.read_text())["service"] == "books-ms"


def test_a_proxy_that_lags_is_named_once_in_one_line(capsys):
    context = Context.from_settings(settings.resolve({}), Console(), 10, timing=Timing().for_proxies("any"))
    context.report_laggards({"proxies": {"one": "serves", "three": "lags", "two": "lags"}})
    context.with_fresh_deadline().report_laggards({"proxies": {"two": "lags", "one": "serves"}}, 30)
    context.report_laggards({})
    assert context.proxies_seconds == 0.5
    (line,) = capsys.readouterr().err.splitlines()
    assert "after 0.5 s not yet served by three, two" in line


def test_a_proxy_that_was_named_is_not_waited_for_again():
    context = Context.from_settings(settings.resolve({}), Console(), 10)
    assert context.proxies_seconds == 10
    context.report_laggards({"proxies": {"two": "lags"}})
    assert context.proxies_seconds == 0.5

"""The machine's answer is written whatever happens."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.report import Report, recording
from jenkins_proxy.errors import Stopped, UsageError, WaitTimeout
from jenkins_proxy.model import Route

KEYS = ["service", "status", "strategy", "orchestrator", "instances", "route", "url", "timings", "rolled_back", "error"]


def test_it_goes_to_stdout_without_a_file(capsys):
    with recording(Report("books-ms"), ""):
        pass

    data = json.loads(capsys.readouterr().out)
    assert list(data) == KEYS
    assert data["status"] == "done"
    assert data["error"] is None
    assert list(data["timings"]) == ["bring_up", "wait", "reconfigure", "probe", "total"]


def test_it_goes_to_the_file_and_nothing_to_stdout(tmp_path, capsys, a_container, an_instance):
    file = tmp_path / "report.json"
    report = Report("books-ms")
    with recording(report, str(file)):
        report.route = Route("books-ms", ("/api",))
        report.found(matching.match([a_container("books_app_1", 32768)], [an_instance()]))

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
    with recording(Report("books-ms"), str(file), as_json=True):
        pass

    assert json.loads(capsys.readouterr().out)["service"] == json.loads(file.read_text())["service"] == "books-ms"


def test_it_tells_an_error(tmp_path):
    file = tmp_path / "report.json"
    with pytest.raises(WaitTimeout), recording(Report("books-ms"), str(file)) as report, report.phase("wait"):
        raise WaitTimeout("nobody came", "look there")

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
    with pytest.raises(type(error)), recording(Report("books-ms"), "") as report:
        report.afterwards = "rolled back"
        raise error

    assert error.message == message
    assert json.loads(capsys.readouterr().out)["error"]["message"] == message


def test_it_tells_a_bug(capsys):
    with pytest.raises(KeyError), recording(Report("books-ms"), "") as report:
        report.afterwards = "rolled back"
        raise KeyError("probe")

    message = "a bug: KeyError('probe'); rolled back"
    assert json.loads(capsys.readouterr().out)["error"] == {"code": 1, "message": message, "hint": ""}


def test_a_file_that_cannot_be_written_in_the_end_does_not_hide_a_failure(tmp_path, capsys):
    folder = tmp_path / "gone"
    folder.mkdir()
    file = str(folder / "report.json")
    lost = "--report .* cannot be written: .*; books-ms itself: done"
    with pytest.raises(UsageError, match=lost), recording(Report("books-ms"), file):
        folder.rmdir()
    folder.mkdir()
    with pytest.raises(WaitTimeout, match="nobody came"), recording(Report("books-ms"), file):
        folder.rmdir()
        raise WaitTimeout("nobody came")
    assert "WARNING: --report" in capsys.readouterr().err


def test_it_tells_a_stop_and_the_phase(tmp_path):
    file = tmp_path / "report.json"
    with pytest.raises(Stopped), recording(Report("books-ms"), str(file)) as report, report.phase("bring_up"):
        raise Stopped("SIGTERM")

    data = json.loads(file.read_text())
    assert data["status"] == "stopped"
    assert data["error"] == {"code": 143, "message": "stopped by SIGTERM during bring_up", "hint": ""}


def test_batches_add_up():
    report = Report("books-ms")
    for _ in range(2):
        with report.phase("wait"):
            pass
    assert report.during == ""
    assert report.as_dict()["timings"]["wait"] >= 0


def test_a_file_that_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    file = str(tmp_path / "no" / "report.json")
    with pytest.raises(UsageError, match="cannot be written"), recording(Report("books-ms"), file):
        pytest.fail("it has begun")


def test_a_file_that_was_there_is_replaced_in_one_step(tmp_path):
    file = tmp_path / "report.json"
    file.write_text("{}")
    with file.open() as open_before:
        with recording(Report("books-ms"), str(file)):
            pass
        assert open_before.read() == "{}"
    assert json.loads(file.read_text())["service"] == "books-ms"

"""The answer to a Jenkins step: lines on stdout, people's text on stderr, and when the exit code is 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from jenkins_proxy.cli.jenkins_step.run import answer_lines
from tests.fixtures.http_server import Handler, serving

REPORT = {
    "service": "books-ms",
    "status": "done",
    "strategy": "rolling",
    "orchestrator": "compose v2",
    "instances": [{"address": "10.0.0.1", "port": 32768, "id": "a"}, {"address": "fd00::1", "port": 1, "id": "b"}],
    "route": None,
    "url": "http://proxy/api",
    "timings": {"wait": 0.25, "total": 1.5},
    "rolled_back": False,
    "error": None,
}


def described(**changes) -> str:
    lines = dict(line.split("=", 1) for line in answer_lines(0, "", {**REPORT, **changes}))
    return lines.get("description", "")


def test_a_report_in_lines():
    assert answer_lines(0, "", REPORT) == [
        "exit=0",
        "reason=",
        "service=books-ms",
        "status=done",
        "strategy=rolling",
        "orchestrator=compose v2",
        "url=http://proxy/api",
        "instances=10.0.0.1:32768,[fd00::1]:1",
        "timings.wait=0.25",
        "timings.total=1.5",
        "description=books-ms: 2 instances at http://proxy/api",
    ]


def test_a_failure_in_lines():
    assert answer_lines(3, "books-ms: not passing", {}) == ["exit=3", "reason=books-ms: not passing"]


def test_no_value_can_begin_a_line():
    assert answer_lines(2, "a\nexit=0\r\n b", {}) == ["exit=2", "reason=a exit=0 b"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "books-ms: 2 instances at http://proxy/api"),
        ({"instances": REPORT["instances"][:1], "url": ""}, "books-ms: 1 instance"),
        ({"instances": []}, "books-ms: at http://proxy/api"),
        ({"instances": [], "url": ""}, "books-ms: not routed"),
        ({"status": "planned"}, ""),
    ],
)
def test_what_the_builds_page_says(changes, text):
    assert described(**changes) == text


class _Proxy(Handler):
    """The proxy's API as far as ``remove`` needs it."""

    def do_DELETE(self):
        self.server.asked.set()
        if self.server.silent:
            threading.Event().wait(60)
        body = b'{"error": {"message": "this needs a token", "hint": ""}}'
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def proxy():
    with serving(_Proxy) as server:
        server.asked, server.silent, server.status = threading.Event(), False, 200
        yield server


@pytest.fixture
def start(proxy, tmp_path):
    """``start(values)`` removes a route as the script of a step does: from /, for the folder tmp_path."""
    started = []

    def run(values: dict, **more: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            **more,
            "JENKINS_PROXY_STEP": str(tmp_path),
            "JENKINS_PROXY_PARAMS": json.dumps(values),
            "JENKINS_PROXY_URL": f"http://127.0.0.1:{proxy.server_port}",
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "jenkins_proxy", "remove"],
                cwd="/",
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_done(start, tmp_path):
    process = start({"service": "books-ms", "report": "report.json"})
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    lines = dict(line.split("=", 1) for line in stdout.splitlines())
    assert (lines["exit"], lines["service"], lines["status"]) == ("0", "books-ms", "done")
    assert json.loads((tmp_path / "report.json").read_text())["service"] == "books-ms"


def test_each_line_names_the_service_where_several_write_to_one_console(start, proxy):
    proxy.status = 401
    stdout, stderr = start({"service": "books-ms"}, JENKINS_PROXY_SERVICE="books-ms").communicate(timeout=30)
    assert stdout.startswith("exit=4\n")
    assert {line[:27] for line in stderr.splitlines()} == {"[jenkins-proxy] [books-ms] "}


def test_the_reports_json_does_not_get_between_the_lines(start):
    stdout, _ = start({"service": "books-ms"}).communicate(timeout=30)
    assert stdout == "exit=0\nreason=\n"


def test_a_summary_for_people_is_beside_the_report(start, tmp_path):
    more = {"BUILD_URL": "http://jenkins/job/a/7/", "JOB_URL": "http://jenkins/job/a/"}
    values = {"service": "books-ms", "report": "report.json"}
    process = start(values, JENKINS_PROXY_SUMMARY=str(tmp_path / "x.html"), **more)
    _, stderr = process.communicate(timeout=30)
    page = (tmp_path / "x.html").read_text()
    assert "<h1>books-ms: done</h1>" in page
    assert 'builds of the job: <a href="http://jenkins/job/a/">' in page
    assert '/releases/books-ms">' in page
    assert "/v1/routes/books-ms" in page
    assert stderr.endswith("[jenkins-proxy] * summary: http://jenkins/job/a/7/artifact/x.html\n")


def test_a_summary_that_cannot_be_written_fails_nothing(start, tmp_path):
    process = start({"service": "books-ms", "report": "report.json"}, JENKINS_PROXY_SUMMARY="/nowhere/x.html")
    stdout, stderr = process.communicate(timeout=30)
    assert stdout.startswith("exit=0\n")
    assert "WARNING: no summary of the report: " in stderr


def test_the_report_goes_to_whom_the_environment_names(start, proxy):
    """The stand-in for the proxy refuses it, as it takes no POST: that fails nothing, and shows nothing of the URL."""
    url = f"http://127.0.0.1:{proxy.server_port}/hunter2"
    stdout, stderr = start({"service": "books-ms"}, JENKINS_PROXY_NOTIFY=url).communicate(timeout=60)
    assert stdout.startswith("exit=0\n")
    assert f"WARNING: http://127.0.0.1:{proxy.server_port} was not notified: it answered 501" in stderr
    assert "hunter2" not in stderr


def test_refused(start, proxy):
    proxy.status = 401
    process = start({"service": "books-ms", "report": "report.json"})
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    code, reason = stdout.splitlines()
    assert code == "exit=4"
    # What fails the build is what the console has said.
    assert f"[jenkins-proxy] ERROR: {reason[len('reason=') :]}\n" in stderr
    # A Jenkinsfile names credentials; it has no variables with secrets.
    assert "proxyTokenCredentialsId: name a Secret text" in stderr
    assert "JENKINS_PROXY_TOKEN" not in stderr


def test_a_service_called_help(start):
    stdout, _ = start({"service": "--help"}).communicate(timeout=30)
    assert stdout.startswith("exit=2\nreason=")


def test_values_are_checked_and_nothing_is_run(start, proxy):
    values = {"service": "books\nms", "drain": "5"}
    stdout, stderr = start(values, JENKINS_PROXY_CHECK="values").communicate(timeout=30)
    assert (stderr, proxy.asked.is_set()) == ("", False)
    first, *problems = stdout.splitlines()
    assert first == "exit=0"
    assert [line.partition(" ")[0] for line in problems] == ["problem=remove:", "problem=service"], problems


def test_good_values_have_no_problems(start, proxy):
    stdout, _ = start({"service": "books-ms"}, JENKINS_PROXY_CHECK="values").communicate(timeout=30)
    assert (stdout, proxy.asked.is_set()) == ("exit=0\n", False)


def test_stopped(start, proxy):
    proxy.silent = True
    process = start({"service": "books-ms"})
    assert proxy.asked.wait(30)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (143, "")
    assert "stopped by SIGTERM" in stderr


@pytest.mark.parametrize(
    ("removed", "left", "expected"),
    [
        (["route /api"], ["service web", "network x"], ("books-ms: undeployed", "service web; network x")),
        ([], [], ("books-ms: not there", "")),
    ],
)
def test_an_undeploy_says_what_is_left(removed, left, expected):
    report = {"service": "books-ms", "status": "done", "url": "", "instances": [], "removed": removed, "left": left}
    lines = dict(line.split("=", 1) for line in answer_lines(0, "", report))

    assert (lines["description"], lines["left"]) == expected

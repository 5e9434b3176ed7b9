from __future__ import annotations

import io
import json

import pytest

from jenkins_proxy.console import Console, print_json


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_the_grammar(stream):
    console = Console(stream)
    console.step("waiting for books-ms")
    console.command(["docker-compose", "-p", "books-ms", "up", "-d"])
    console.output("Creating booksms_app_1 ... done")
    console.warning("no check")
    console.error("no compose file", "give it with -f")
    console.error("and no hint")
    assert stream.getvalue().splitlines() == [
        "[jenkins-proxy] * waiting for books-ms",
        "[jenkins-proxy] > docker-compose -p books-ms up -d",
        "[jenkins-proxy] < Creating booksms_app_1 ... done",
        "[jenkins-proxy] WARNING: no check",
        "[jenkins-proxy] ERROR: no compose file",
        "[jenkins-proxy] HINT: give it with -f",
        "[jenkins-proxy] ERROR: and no hint",
    ]


def test_output_cannot_forge_a_line_or_move_the_cursor(stream):
    Console(stream).output("a\n[jenkins-proxy] * done\x1b[2J\r\x00\u2028end\tof it")
    assert stream.getvalue() == "[jenkins-proxy] < a?[jenkins-proxy] * done?[2J???end\tof it\n"


def test_a_console_that_takes_ascii_only():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream).step("b\u00fccher \u2713")
    assert raw.getvalue() == b"[jenkins-proxy] * b\\xfccher \\u2713\n"


@pytest.mark.parametrize(
    "environ, terminal, colored",
    [
        ({}, False, False),
        ({}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_color(stream, monkeypatch, environ, terminal, colored):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    Console(stream).error("no")
    assert stream.getvalue().startswith("\x1b[31m") is colored


def test_people_read_stderr_and_machines_stdout(capsys):
    Console().step("deploying")
    print_json({"status": "done"})
    told = capsys.readouterr()
    assert told.err == "[jenkins-proxy] * deploying\n"
    assert json.loads(told.out) == {"status": "done"}

"""The frame of the command line: exit codes, one line an error, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from jenkins_proxy import __version__, errors, processes
from jenkins_proxy.cli import COMMANDS, doctor, guarded, main
from jenkins_proxy.console import Console
from jenkins_proxy.retry import Deadline


def test_version():
    argv = [sys.executable, "-m", "jenkins_proxy", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0


def test_without_a_command_it_shows_the_usage(capsys):
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(name in told.err for name in COMMANDS)
    assert "143 stopped" in told.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module_and_its_help(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"jenkins-proxy {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, message",
    [
        (["deplo"], "invalid choice: 'deplo'"),
        (["doctor", "--jso"], "unrecognized arguments: --jso"),
        (["doctor", "extra"], "unrecognized arguments: extra"),
        (["doctor", "--consul", "ftp://here"], "--consul: 'ftp://here' is not an http:// or https:// address"),
        (["doctor", "--config", "none.yml"], "cannot read the settings file none.yml"),
    ],
)
def test_wrong_arguments_are_one_line_and_a_hint(argv, message, capsys):
    assert main(argv) == 2
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert message in lines[0]
    assert lines[0].startswith("[jenkins-proxy] ERROR: ")
    assert len(lines) <= 2
    assert told.out == ""


@pytest.mark.parametrize(
    "error", [errors.UsageError, errors.WaitTimeout, errors.DockerError, errors.DeployFailed, errors.ProbeFailed]
)
def test_errors_end_with_their_code(error, capsys):
    def work() -> int:
        raise error("what was seen", "what to do")

    assert guarded(work, Console()) == error.exit_code
    assert capsys.readouterr().err == "[jenkins-proxy] ERROR: what was seen\n[jenkins-proxy] HINT: what to do\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0, Console())


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_and_a_second_one_does_not_stop_the_cleaning_up(signum, capsys):
    cleaned = []

    def work() -> int:
        try:
            os.kill(os.getpid(), signum)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)
        return 0

    assert guarded(work, Console()) == 143
    assert cleaned == [True]
    assert f"ERROR: stopped by {signum.name}" in capsys.readouterr().err


def test_a_program_that_cleans_up_can_be_ended():
    ended = []

    def work() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            ended.append(processes.run(["sleep", "1000"], deadline=Deadline(0.1)).returncode)
        return 0

    assert guarded(work, Console()) == 143
    assert ended == [-signal.SIGTERM]


def test_a_reader_that_goes_away_changes_nothing():
    script = (
        "import sys\n"
        "from jenkins_proxy.cli import guarded\nfrom jenkins_proxy.console import Console, print_json\n"
        "def work():\n  [print_json({'n': n}) for n in range(100000)]\n  return 5\n"
        "sys.exit(guarded(work, Console()))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 5
        assert process.stderr.read() == b""


def test_values_of_the_environment_reach_the_command(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(doctor, "run", lambda args, settings, console: asked.append((args.json, settings.consul)) or 0)
    monkeypatch.setenv("JENKINS_PROXY_PARAMS", '{"json": true, "consul": "http://here:8500"}')
    assert main(["doctor"]) == 0
    assert asked == [(True, "http://here:8500")]


@pytest.mark.parametrize(
    "command", ["deploy", "scale", "reconfigure", "remove", "rollback", "wait", "status", "doctor"]
)
def test_a_command_begins_before_the_http_library_is_loaded(command):
    """It takes as long to load as everything else before a command's first line."""
    script = (
        "import sys\n"
        f"import jenkins_proxy.cli.{command}\n"
        "from jenkins_proxy.clients.consul.client import Consul\nConsul('http://127.0.0.1:1').close()\n"
        "from jenkins_proxy.clients.proxy import ProxyClient\nProxyClient('http://127.0.0.1:1').close()\n"
        "from jenkins_proxy.clients.docker.endpoint import Endpoint\n"
        "from jenkins_proxy.clients.docker.engine import Engine\nEngine(Endpoint('unix:///s', '')).close()\n"
        "print(sorted({'requests', 'urllib3', 'aiohttp', 'asyncio', 'ssl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

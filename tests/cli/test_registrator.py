"""``registrator`` as a program: how it starts and how it ends."""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import subprocess
import sys

import pytest
import trustme

from jenkins_proxy import logs
from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.errors import Stopped


def test_without_any_option_it_runs_until_it_is_stopped(docker, start_consul):
    url, _ = start_consul()
    argv = [sys.executable, "-m", "jenkins_proxy", "registrator", "--consul", url]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert " INFO    entering the containers of " in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1].endswith(" INFO    stopped by SIGTERM\n")
    assert process.returncode == 143


@pytest.mark.parametrize(
    ("option", "value", "answer"),
    [
        ("--ip", "0.0.0.0", "is not an address under which containers can be reached"),  # noqa: S104 - it is refused
        ("--tags", "{{.Name}}", "Registrator's templates are not read; give the tags themselves"),
    ],
)
def test_what_is_refused(option, value, answer):
    argv = [sys.executable, "-m", "jenkins_proxy", "registrator", option, value]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"argument {option}: {value!r}" in done.stderr
    assert answer in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_names_certificates_that_are_over_and_an_ordinary_stop_is_no_error_in_its_log(tmp_path, number):
    argv = [sys.executable, "-m", "jenkins_proxy", "registrator", "--ip", "10.0.0.1"]
    authority, end = trustme.CA(), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    over = authority.issue_cert("ci", not_before=end - datetime.timedelta(days=1), not_after=end)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    over.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    over.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with subprocess.Popen(argv, env={**os.environ, **own}, stderr=subprocess.PIPE, text=True) as process:
        assert " INFO    entering the containers of " in process.stderr.readline()
        line = next(line for line in process.stderr if "certificate" in line)
        assert f" WARNING the certificate for the Docker Engine (DOCKER_CERT_PATH) {tmp_path}/cert.pem: " in line
        assert " expired at 2026-01-02T00:00:00Z: the engine refuses it" in line
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 143
    assert said.endswith(f" INFO    stopped by {number.name}\n")
    assert "ERROR" not in said


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_a_stop_while_a_daemon_begins_is_no_error(caplog, mocker, log_format):
    def begin() -> int:
        raise Stopped("SIGTERM")

    mocker.patch.object(logs, "set_up")
    with caplog.at_level(logging.INFO):
        assert daemon_arguments.run_logged(begin, log_format) == 143
    assert [(record.levelname, record.message) for record in caplog.records] == [("INFO", "stopped by SIGTERM")]


def test_the_log_as_json(tmp_path, free_port):
    """Each line is an object, from the first to the one that says why it ended; the token is in none."""
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/absent.sock", "CONSUL_HTTP_TOKEN": "top-secret"}
    argv = [sys.executable, "-m", "jenkins_proxy", "registrator", "--ip", "10.0.0.1", "--log-format", "json",
            "--consul", f"http://127.0.0.1:{free_port()}"]  # fmt: skip
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stderr.readline() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=30)[1].splitlines()
    assert process.returncode == 143
    assert "top-secret" not in "".join(lines)
    first, *retried, last = map(json.loads, lines)
    assert first["message"].startswith(f"entering the containers of unix://{tmp_path}/absent.sock into http://")
    assert (first["level"], first["logger"]) == ("info", "jenkins_proxy.cli.registrator")
    assert {line["level"] for line in retried} == {"warning"}
    assert (last["level"], last["message"]) == ("info", "stopped by SIGTERM")

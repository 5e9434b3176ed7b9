"""The systemd unit starts what there is, and its restart leaves HAProxy alone."""

from __future__ import annotations

import argparse
import configparser
from pathlib import Path

import pytest

from jenkins_proxy.cli import serve


@pytest.fixture
def unit(repository: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str
    read.read(repository / "resources/environments/systemd/jenkins-proxy.service")
    return read


def test_the_unit_starts_serve_and_ends_nothing_but_the_daemon(unit) -> None:
    program, *words, more = unit["Service"]["ExecStart"].removeprefix("/usr/bin/env ").split()
    # Without braces systemd makes as many words of it as it has, and none where it is not set.
    assert more == "$JENKINS_PROXY_SERVE_OPTIONS"
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    arguments = parser.parse_args(words[1:])

    assert (program, words[0]) == ("jenkins-proxy", "serve")
    assert arguments.stop_haproxy is False
    assert arguments.state_dir == f"/var/lib/{unit['Service']['StateDirectory']}"
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["SuccessExitStatus"] == "143"


def test_the_unit_runs_as_an_ordinary_user_with_one_capability(unit) -> None:
    service = unit["Service"]
    assert service["User"] not in ("", "root", "0")
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert service["NoNewPrivileges"] == "yes"
    assert "MemoryDenyWriteExecute" not in service, "HAProxy's regular expressions are compiled to machine code"


def test_the_unit_holds_no_secret(unit) -> None:
    service = unit["Service"]
    assert not {"Environment", "PassEnvironment", "SetCredential"} & service.keys()
    assert service["EnvironmentFile"].startswith("-/etc/")
    assert "TOKEN" not in service["ExecStart"].upper()

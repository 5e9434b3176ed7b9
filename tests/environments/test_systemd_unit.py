"""The systemd unit starts what there is, and its restart leaves HAProxy alone."""

from __future__ import annotations

import argparse
import configparser
from pathlib import Path

from jenkins_proxy.cli import serve


def test_the_unit_starts_serve_and_ends_nothing_but_the_daemon(repository: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(repository / "resources/environments/systemd/jenkins-proxy.service")
    program, *words = unit["Service"]["ExecStart"].removeprefix("/usr/bin/env ").split()
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    arguments = parser.parse_args(words[1:])

    assert (program, words[0]) == ("jenkins-proxy", "serve")
    assert arguments.stop_haproxy is False
    assert arguments.state_dir == f"/var/lib/{unit['Service']['StateDirectory']}"
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["SuccessExitStatus"] == "143"

"""``registrator`` as a program: how it starts and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys


def test_without_any_option_it_runs_until_it_is_stopped(docker, start_consul):
    url, _ = start_consul()
    argv = [sys.executable, "-m", "jenkins_proxy", "registrator", "--consul", url]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("[jenkins-proxy] * entering the containers of ")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1].endswith("ERROR: stopped by SIGTERM\n")
    assert process.returncode == 143


def test_an_address_that_nobody_can_reach():
    done = subprocess.run(
        [sys.executable, "-m", "jenkins_proxy", "registrator", "--ip", "0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "argument --ip: '0.0.0.0' is not an address under which containers can be reached" in done.stderr

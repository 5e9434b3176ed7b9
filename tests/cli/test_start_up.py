"""What a command does before its first line, and that its report counts all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from jenkins_proxy import __version__


def run(*words: str, options: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, "-m", "jenkins_proxy", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_line_of_a_deploy_does_not_wait_for_an_http_library(tmp_path):
    done = run("deploy", "a b", "--no-proxy", "--report", str(tmp_path / "report.json"), options=("-X", "importtime"))

    # Every import is a line of its own, at the moment when it is done.
    before, first, after = done.stderr.partition(f"[jenkins-proxy] * jenkins-proxy {__version__}: deploy a b")
    assert first, done.stderr[-2000:]
    slow = {
        "requests",
        "urllib3",
        "ssl",
        "http.client",
        "yaml",
        "jinja2",
        "asyncio",
        "concurrent.futures",
        "subprocess",
    }
    loaded = {line.rpartition("|")[2].strip() for line in before.splitlines()}
    assert slow & loaded == set()
    assert "| requests" in "| ".join(line.rpartition("|")[2].strip() for line in after.splitlines())


def test_the_total_is_the_time_of_the_whole_process(tmp_path):
    # It runs before anything of ours does, as the interpreter itself.
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(1)")
    report = tmp_path / "report.json"
    start = time.monotonic()
    done = run("remove", "a b", "--report", str(report), PYTHONPATH=f"{os.getcwd()}{os.pathsep}{tmp_path}")
    wall = time.monotonic() - start

    assert done.returncode == 2, done.stderr
    assert 1.0 <= json.loads(report.read_text())["timings"]["total"] <= wall + 0.02

"""A short form of ``tests/benchmarks/run soak``, by the same code: every kind of fault once, and some twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(1000)
def test_two_minutes_of_faults_lose_no_request_in_vain_and_no_route(repository, consul_program, haproxy):
    path = f"{Path(consul_program).parent}:{os.environ['PATH']}:{Path(haproxy).parent}"
    done = subprocess.run(
        [sys.executable, "soak.py", "--minutes", "2"],
        cwd=repository / "tests/benchmarks",
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "broken off" not in said, said
    assert "lost in vain: 0 " in done.stdout, said
    assert "routes lost: 0, come back: 0 " in done.stdout, said
    assert len(set(re.findall(r"x fault: (.+)", done.stdout))) == 12, said

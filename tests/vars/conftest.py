"""Groovy 2.4 for the tests of the steps, and the library as Jenkins sees it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def groovy(program, repository, tmp_path_factory):
    """``groovy(cases)`` runs all cases in one JVM: ``step``, ``config`` and what the world is like (harness.groovy)."""
    java = sorted(Path("/usr/lib/jvm").glob("*-17-*"))
    environment = {**os.environ, "JAVA_HOME": os.environ.get("JAVA_HOME") or str(java[0])}

    def run(cases: list[dict]) -> list[dict]:
        path = tmp_path_factory.mktemp("groovy") / "cases.json"
        path.write_text(json.dumps(cases), encoding="utf-8")
        harness = str(Path(__file__).with_name("harness.groovy"))
        done = subprocess.run(
            [program("groovy"), harness, str(repository), str(path)],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run

"""Groovy 2.4 for the tests of the steps, and the library as Jenkins sees it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.shared import once
from tests.vars.calls import CASES


@pytest.fixture(scope="session")
def outcomes(steps, tmp_path_factory) -> dict[str, dict]:
    """The outcomes of all cases of this run, by test: a JVM takes longer to start than all of them."""

    def make(folder: Path) -> None:
        (folder / "outcomes.json").write_text(json.dumps(dict(zip(CASES, steps(list(CASES.values()))))))

    return json.loads((once(tmp_path_factory, "steps", make) / "outcomes.json").read_text())


@pytest.fixture
def outcome(outcomes, request) -> dict:
    """What came of the call that the test names by ``case``."""
    return outcomes[f"{request.node.module.__name__}::{request.node.originalname}"]


@pytest.fixture(scope="session")
def steps(groovy, repository, tmp_path_factory):
    """``steps(cases)`` runs all cases in one JVM: ``step``, ``config`` and what the world is like (harness.groovy)."""

    def run(cases: list[dict]) -> list[dict]:
        path = tmp_path_factory.mktemp("groovy") / "cases.json"
        path.write_text(json.dumps(cases), encoding="utf-8")
        harness = str(Path(__file__).with_name("harness.groovy"))
        classes = str(Path(__file__).with_name("harness_classes"))
        done = subprocess.run(
            [groovy, "-cp", classes, harness, str(repository), str(path)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run

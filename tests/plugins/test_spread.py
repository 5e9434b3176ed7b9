"""Which tests run together on one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.spread import SPREAD, scope_of


def test_a_file_stays_together_unless_it_is_spread() -> None:
    assert scope_of("tests/proxy/test_events.py::test_a[x::y]") == "tests/proxy/test_events.py"
    assert scope_of(f"{SPREAD[0]}::test_a[1]") == f"{SPREAD[0]}::test_a[1]"


@pytest.mark.parametrize("file", SPREAD)
def test_what_is_spread_starts_nothing_for_its_file(repository: Path, file: str) -> None:
    assert 'scope="module"' not in (repository / file).read_text()


def test_two_workers_take_the_tests_of_one_file_together(
    pytester: pytest.Pytester, monkeypatch, repository: Path
) -> None:
    text = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(6))
def test_it(number):
    here = pathlib.Path(__file__)
    here.with_name(f"{here.stem}-{os.environ['PYTEST_XDIST_WORKER']}").touch()
"""
    pytester.makepyfile(test_one=text, test_two=text)
    monkeypatch.setenv("PYTHONPATH", str(repository))
    pytester.runpytest_subprocess("-p", "tests.plugins.spread", "-n", "2").assert_outcomes(passed=12)
    assert len(list(pytester.path.glob("test_*-gw*"))) == 2

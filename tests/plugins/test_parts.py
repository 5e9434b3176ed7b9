"""The marks that tests get, and what is said of those that are not run: alone and with two workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FIXTURES = """
import pytest

@pytest.fixture(scope="session")
def docker():
    return "docker"

@pytest.fixture
def engine(docker):
    return docker

@pytest.fixture
def start_consul():
    return "consul"

@pytest.fixture
def jenkins():
    return "jenkins"

@pytest.fixture
def acme_programs():
    return "acme"

@pytest.fixture(params=["embedded", "start_consul"])
def registry(request):
    return request.param

@pytest.fixture(params=["compose-v1", "compose-v2"])
def flavor(request):
    return request.param
"""
TESTS = """
def test_nothing(): pass
def test_through_another(engine): pass
def test_either(registry): pass
def test_data(flavor): pass
def test_compose(flavor, docker): pass
def test_build(jenkins, docker): pass
def test_authority(acme_programs): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, repository: Path):
    """``run("-m", "docker", PARTS_ABSENT=…)`` runs the tests above in a process of its own."""
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile(test_it=TESTS)
    monkeypatch.setenv("PYTHONPATH", str(repository))
    monkeypatch.delenv("JENKINS_URL", raising=False)
    # A machine with neither of the programs of ACME, whatever this one has.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))

    def start(*arguments: str, **environ: str) -> pytest.RunResult:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return pytester.runpytest_subprocess("-p", "tests.plugins.parts", "--strict-markers", *arguments)

    return start


@pytest.mark.parametrize(
    ("mark", "tests"),
    [
        ("fast", ["test_nothing", "test_either[embedded]", "test_data[compose-v1]", "test_data[compose-v2]"]),
        ("consul", ["test_either[start_consul]"]),
        ("compose_v1", ["test_compose[compose-v1]"]),
        ("jenkins", ["test_build"]),
        (
            "docker",
            ["test_through_another", "test_compose[compose-v1]", "test_compose[compose-v2]", "test_build"],
        ),
    ],
)
def test_marks_come_from_fixtures(run, mark: str, tests: list[str]) -> None:
    done = run("--collect-only", "-q", "-m", mark, JENKINS_URL="http://jenkins")
    assert [line.partition("::")[2] for line in done.outlines if "::" in line] == tests


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_is_not_run_is_named(run, workers: tuple[str, ...]) -> None:
    done = run(*workers, PARTS_ABSENT="compose_v1: this platform has none\n")
    done.assert_outcomes(passed=7, deselected=0 if workers else 3)
    done.stdout.fnmatch_lines_random(
        [
            "*3 not run*",
            "NOT RUN test_it.py::test_compose[[]compose-v1] - compose_v1: this platform has none",
            "NOT RUN test_it.py::test_build - jenkins: set JENKINS_URL, JENKINS_USER and JENKINS_TOKEN",
            "NOT RUN test_it.py::test_authority - acme: not on PATH: pebble, certbot",
            "1 not run: needs docker-compose 1.x (this platform has none)",
        ]
    )
    assert done.stdout.str().count("NOT RUN") == 3


def test_what_nobody_asked_for_is_not_named(run) -> None:
    done = run("-k", "nothing")
    done.assert_outcomes(passed=1, deselected=9)
    assert "NOT RUN" not in done.stdout.str()


def test_an_absent_part_that_is_none_is_an_error(run) -> None:
    done = run(PARTS_ABSENT="compose: gone")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "PARTS_ABSENT names no part of ours: compose" in done.stderr.str() + done.stdout.str()

"""The marks that tests get, and what is said of those that are not run: alone and with two workers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.plugins import parts

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

@pytest.fixture
def classic_swarm_program():
    return "swarm"

@pytest.fixture(params=["embedded", "start_consul"])
def registry(request):
    return request.param

@pytest.fixture(params=["our_agent", "real_registrator"])
def agent(request):
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
def test_entries(agent, docker): pass
def test_spread(classic_swarm_program): pass
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The one folder on PATH, and what is in it: the programs that no test run installs."""
    for name in itertools.chain(*parts.NOT_INSTALLED.values()):
        (tmp_path / name).touch(0o755)
    return tmp_path


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, repository: Path, programs: Path):
    """``run("-m", "docker", PARTS_ABSENT=…)`` runs the tests above in a process of its own."""
    monkeypatch.setenv("PATH", str(programs))
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile(test_it=TESTS)
    monkeypatch.setenv("PYTHONPATH", str(repository))
    monkeypatch.delenv("JENKINS_URL", raising=False)

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
        ("registrator", ["test_entries[real_registrator]"]),
        ("classic_swarm", ["test_spread"]),
        ("acme", ["test_authority"]),
        (
            "docker",
            [
                "test_through_another",
                "test_compose[compose-v1]",
                "test_compose[compose-v2]",
                "test_build",
                "test_entries[our_agent]",
                "test_entries[real_registrator]",
            ],
        ),
    ],
)
def test_marks_come_from_fixtures(run, mark: str, tests: list[str]) -> None:
    done = run("--collect-only", "-q", "-m", mark, JENKINS_URL="http://jenkins")
    assert [line.partition("::")[2] for line in done.outlines if "::" in line] == tests


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_is_not_run_is_named(run, workers: tuple[str, ...]) -> None:
    done = run(*workers, PARTS_ABSENT="compose_v1: this platform has none\n")
    done.assert_outcomes(passed=11, deselected=0 if workers else 2)
    done.stdout.fnmatch_lines_random(
        [
            "*2 not run*",
            "NOT RUN test_it.py::test_compose[[]compose-v1] - compose_v1: this platform has none",
            "NOT RUN test_it.py::test_build - jenkins: set JENKINS_URL, JENKINS_USER and JENKINS_TOKEN",
            "1 not run: needs docker-compose 1.x (this platform has none)",
        ]
    )
    assert done.stdout.str().count("NOT RUN") == 2


def test_a_program_that_nobody_installs_is_named_where_it_is_not_on_path(run, programs: Path) -> None:
    for name in ("swarm", "certbot"):
        (programs / name).unlink()
    run("-k", "entries or spread or authority", JENKINS_URL="http://jenkins").stdout.fnmatch_lines_random(
        [
            "*2 passed, 11 deselected*",
            "NOT RUN test_it.py::test_spread - classic_swarm: not on PATH: swarm",
            "NOT RUN test_it.py::test_authority - acme: not on PATH: certbot",
            "1 not run: needs the manager of classic Swarm, built from its source (not on PATH: swarm)",
        ]
    )


def test_what_nobody_asked_for_is_not_named(run) -> None:
    done = run("-k", "nothing")
    done.assert_outcomes(passed=1, deselected=12)
    assert "NOT RUN" not in done.stdout.str()


def test_an_absent_part_that_is_none_is_an_error(run) -> None:
    done = run(PARTS_ABSENT="compose: gone")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "PARTS_ABSENT names no part of ours: compose" in done.stderr.str() + done.stdout.str()

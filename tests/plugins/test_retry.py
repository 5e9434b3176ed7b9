"""The second try: who gets one, what is said of it, and what it does not hide; alone and with two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

ONCE = """
import pathlib, pytest

def passes_at_the_second_time(name):
    mark = pathlib.Path(__file__).with_name(name)
    tried = mark.exists()
    mark.touch()
    assert tried, f"the first try of {name}"
"""

# With workers only where it may differ: to start them takes seconds.
ALONE = pytest.mark.parametrize("run", [()], ids=["alone"], indirect=True)


@pytest.fixture(params=[(), ("-n", "2")], ids=["alone", "workers"])
def run(request, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, repository: Path):
    """``run(text)`` runs these tests in a process of its own, and once more with two workers."""
    monkeypatch.setenv("PYTHONPATH", str(repository))

    def start(text: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=ONCE + text)
        return pytester.runpytest_subprocess(
            "-p", "tests.plugins.retry", "--strict-markers", *request.param, *arguments
        )

    return start


def flaky(count: int) -> str:
    return "".join(
        f"""
@pytest.mark.flaky(reason="a clock")
def test_{number}():
    passes_at_the_second_time("try-{number}")
"""
        for number in range(count)
    )


def test_what_passes_at_the_second_try_is_listed_with_its_first_failure(run) -> None:
    done = run(flaky(1))
    done.assert_outcomes(passed=1)
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        [
            "*1 tried a second time*",
            "RETRIED test_it.py::test_0 (a clock), which failed at first:",
            "*first try of try-0*",
        ]
    )


@ALONE
def test_without_the_mark_there_is_no_second_try(run) -> None:
    done = run("def test_it(): passes_at_the_second_time('try')\n")
    done.assert_outcomes(failed=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert "RETRIED" not in done.stdout.str()


@ALONE
def test_what_fails_twice_fails(run) -> None:
    done = run("@pytest.mark.flaky(reason='a clock')\ndef test_it(): assert False, 'always'\n")
    done.assert_outcomes(failed=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert "RETRIED" in done.stdout.str()


def test_three_second_tries_are_endured_and_four_fail_the_run(run) -> None:
    assert run(flaky(3)).ret == 0
    done = run(flaky(8))
    # Those of the first run have their marks already: five are new.
    done.assert_outcomes(passed=8)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["5 tests needed a second try; more than 3 fail the run"])


@ALONE
def test_the_second_try_has_fixtures_of_its_own_and_all_of_the_time(run, pytester: pytest.Pytester) -> None:
    done = run(
        """
import time

@pytest.fixture
def made():
    yield []
    pathlib.Path(__file__).with_name("undone").open("a").write("x")

@pytest.mark.flaky(reason="a clock")
def test_it(made):
    assert made == []
    made.append(1)
    time.sleep(1.4)
    passes_at_the_second_time("try")
""",
        "--timeout",
        "2",
    )
    done.assert_outcomes(passed=1)
    assert (pytester.path / "undone").read_text() == "xx"


@ALONE
def test_a_first_try_without_an_end_is_ended(run) -> None:
    done = run(
        """
import time

@pytest.mark.flaky(reason="a clock")
def test_it():
    if not pathlib.Path(__file__).with_name("try").exists():
        pathlib.Path(__file__).with_name("try").touch()
        time.sleep(30)
""",
        "--timeout",
        "1",
    )
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["RETRIED*", "*Timeout*"])


@ALONE
def test_the_failure_of_a_fixture_counts(run) -> None:
    done = run(
        """
@pytest.fixture
def part():
    passes_at_the_second_time("try")

@pytest.mark.flaky(reason="a clock")
def test_it(part):
    pass
"""
    )
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["RETRIED*"])


@ALONE
def test_a_mark_without_a_reason_fails_its_test(run) -> None:
    marks = ("flaky", "flaky()", "flaky('why')", "flaky(reason='')", "flaky(reason='a', runs=3)")
    text = "".join(f"@pytest.mark.{mark}\ndef test_{number}(): pass\n" for number, mark in enumerate(marks))
    done = run(text)
    done.assert_outcomes(errors=len(marks))
    done.stdout.fnmatch_lines(["*a flaky test has to say why*"])

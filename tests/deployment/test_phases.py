"""Which phase runs, and how long each took."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from jenkins_proxy.deployment.phases import PHASES, Phases


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_batches_add_up_and_the_total_has_what_came_before():
    clock = Clock()
    phases = Phases(age=0.5, clock=clock)
    for seconds in (2.0, 3.0):
        with phases.phase("wait"):
            assert phases.current == "wait"
            clock.now += seconds
        clock.now += 1.0

    assert phases.current == ""
    assert phases.seconds() == {**dict.fromkeys(PHASES, 0.0), "wait": 5.0, "total": 7.5}


def test_the_phase_of_an_error_stays():
    phases = Phases()
    with pytest.raises(ZeroDivisionError), phases.phase("probe"):
        _ = 1 / 0

    assert phases.current == "probe"


def test_the_age_of_a_process_has_its_start_in_it():
    """Also what comes before the first line of ours: the interpreter, and what it imports."""
    script = (
        "import time; time.sleep(0.5); from jenkins_proxy.deployment.phases import process_age; print(process_age())"
    )
    start = time.monotonic()
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert 0.5 <= float(answer.stdout) <= time.monotonic() - start + 0.02

"""What is tidied undisturbed, and that the programs which it runs can still be ended."""

from __future__ import annotations

import os
import signal

import pytest

from jenkins_proxy import processes
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_disturb_it(signum):
    before = signal.getsignal(signum)
    with undisturbed():
        os.kill(os.getpid(), signum)
    assert signal.getsignal(signum) == before


def test_a_program_that_it_runs_can_be_ended():
    with undisturbed():
        assert processes.run(["sleep", "1000"], deadline=Deadline(0.1)).returncode == -signal.SIGTERM

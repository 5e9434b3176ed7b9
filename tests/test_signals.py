"""What is tidied undisturbed, and that the programs which it runs can still be ended."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from jenkins_proxy import processes
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import call_when_stopped, undisturbed


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_disturb_it(signum):
    before = signal.getsignal(signum)
    with undisturbed():
        os.kill(os.getpid(), signum)
    assert signal.getsignal(signum) == before


def test_a_program_that_it_runs_can_be_ended():
    with undisturbed():
        assert processes.run(["sleep", "1000"], deadline=Deadline(0.1)).returncode == -signal.SIGTERM


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_within_an_event_loop_a_signal_is_a_call(signum):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    names: asyncio.Queue[str] = asyncio.Queue()
    call_when_stopped(names.put_nowait)
    try:
        os.kill(os.getpid(), signum)
        assert await asyncio.wait_for(names.get(), 5) == signum.name
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before):
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, handler)

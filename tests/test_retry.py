from __future__ import annotations

import pytest

from jenkins_proxy.retry import Backoff, Deadline, retry


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_deadline_runs_down_and_never_below_zero(clock):
    deadline = Deadline(60, clock)
    assert (deadline.remaining, deadline.expired) == (60, False)
    clock.sleep(12)
    assert str(deadline) == "12 s of 60 s"
    clock.sleep(50)
    assert (deadline.remaining, deadline.expired) == (0, True)


def test_a_phase_gets_no_more_than_is_left(clock):
    deadline = Deadline(60, clock)
    clock.sleep(50)
    assert deadline.within(5).remaining == 5
    assert deadline.within(30).remaining == 10


def failing(times: int, error: Exception):
    left = [error] * times

    def action() -> str:
        if left:
            raise left.pop()
        return "done"

    return action


def test_retry_pauses_longer_each_time_with_jitter(clock):
    assert (
        retry(failing(6, OSError()), Deadline(60, clock), (OSError,), min_pause=1, max_pause=4, sleep=clock.sleep)
        == "done"
    )
    for pause, longest in zip(clock.pauses, (1, 2, 4, 4, 4, 4)):
        assert longest / 2 <= pause <= longest
    assert len(clock.pauses) == 6


def test_pauses_begin_anew_after_a_success():
    backoff = Backoff(1, 60)
    assert not backoff.started
    for longest in (1, 2, 4):
        assert longest / 2 <= backoff.next_pause() <= longest
    assert backoff.started
    backoff.reset()
    assert not backoff.started
    assert 0.5 <= backoff.next_pause() <= 1


def test_retry_raises_the_last_error_when_time_runs_out(clock):
    with pytest.raises(OSError, match="refused"):
        retry(failing(1000, OSError("refused")), Deadline(10, clock), (OSError,), sleep=clock.sleep)
    assert clock.now == pytest.approx(110), "the last pause ends with the deadline"


def test_retry_raises_other_errors_at_once(clock):
    with pytest.raises(ValueError):
        retry(failing(1, ValueError()), Deadline(10, clock), (OSError,), sleep=clock.sleep)
    assert clock.pauses == []


def test_retry_tries_once_even_without_time(clock):
    assert retry(failing(0, OSError()), Deadline(0, clock), (OSError,), sleep=clock.sleep) == "done"

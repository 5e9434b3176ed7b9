"""How a rolling deploy divides its work: pure planning. That it loses nothing is shown by test_deploy and the load."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.strategies import rolling


@pytest.mark.parametrize(
    ("wanted", "size", "steps"),
    [
        (3, 0, (3,)),
        (3, 1, (1, 1, 1)),
        (3, 2, (2, 1)),
        (3, 3, (3,)),
        (3, 9, (3,)),
        (1, 0, (1,)),
    ],
)
def test_batches(wanted, size, steps):
    assert rolling.batches(wanted, size) == steps


@pytest.mark.parametrize(
    ("old", "proven", "wanted", "leave"),
    [
        pytest.param(5, 0, 2, 0, id="nothing has proven itself: nobody leaves"),
        pytest.param(3, 1, 3, 1, id="one for one"),
        pytest.param(2, 2, 4, 0, id="on the way up nobody has to leave"),
        pytest.param(5, 1, 2, 4, id="on the way down the surplus leaves with the first batch"),
        pytest.param(1, 3, 3, 1, id="no more leave than there are"),
        pytest.param(0, 2, 3, 0, id="none is left"),
    ],
)
def test_who_makes_room(old, proven, wanted, leave):
    assert rolling.leaving(old, proven, wanted) == leave


def test_there_are_never_fewer_than_wanted_or_than_there_were():
    for old, wanted, size in ((3, 3, 1), (2, 5, 2), (5, 2, 1), (4, 4, 3)):
        running, new = old, 0
        for step in rolling.batches(wanted, size):
            running -= rolling.leaving(running, new, wanted)
            assert running + new >= min(old, wanted)
            new += step
        assert new == wanted

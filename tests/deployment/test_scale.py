"""What ``3``, ``+2`` and ``-1`` mean."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.scale import target_count
from jenkins_proxy.errors import UsageError


@pytest.mark.parametrize(
    ("amount", "running", "count"),
    [
        ("3", 1, 3),
        ("+2", 1, 3),
        ("-1", 3, 2),
        ("1", 1, 1),
        ("+0", 2, 2),
    ],
)
def test_count(amount, running, count):
    assert target_count(amount, running) == count


@pytest.mark.parametrize("amount", ["0", "-2"])
def test_none_left_has_to_be_meant(amount):
    with pytest.raises(UsageError, match="leaves no instance") as failure:
        target_count(amount, 2)

    assert "--allow-empty" in failure.value.hint
    assert target_count(amount, 2, allow_empty=True) == 0


def test_fewer_than_none():
    with pytest.raises(UsageError, match=r"scale -3: only 2 instance\(s\) run"):
        target_count("-3", 2, allow_empty=True)


@pytest.mark.parametrize("amount", ["", "x", "1.5", "--1", "+", "1 ", "99999", "3\n", "٣"])
def test_what_is_no_amount(amount):
    with pytest.raises(UsageError, match="is not a number of instances"):
        target_count(amount, 1)

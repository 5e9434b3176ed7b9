"""How far another proxy is with a change, by what it says of itself."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.proxy.models import Progress
from jenkins_proxy.proxy.reconcile.peers import Goal, Served


@pytest.mark.parametrize(
    ("document", "goal", "serves"),
    [
        pytest.param({"index": 7}, Goal(routes=7), True, id="it serves the routes of then"),
        pytest.param({"index": 8}, Goal(routes=7), True, id="or later ones"),
        pytest.param({"index": 6, "holds": 9}, Goal(routes=7), False, id="it serves older ones"),
        pytest.param({"index": 9, "holds": 6}, Goal(holds=7), False, id="or older holds"),
        pytest.param({"index": 9, "drains": 6}, Goal(drains=7), False, id="or older drains"),
        pytest.param({"index": 9, "drains": 7}, Goal(drains=7), True, id="the drains of then"),
        pytest.param({"index": 9}, Goal(drains=7), True, id="an older version does not tell"),
        pytest.param({"index": 7, "awaiting": ["users"]}, Goal(7, service="books"), True, id="another service waits"),
        pytest.param({"index": 7, "awaiting": ["books"]}, Goal(7, service="books"), False, id="its users have nobody"),
        pytest.param({"index": 7, "awaiting": ["books"]}, Goal(7), True, id="and need not have"),
        pytest.param({"index": 7, "awaiting": None}, Goal(7, service="books"), False, id="too many wait to be named"),
        pytest.param({"index": True}, Goal(1), False, id="no number"),
        pytest.param([], Goal(1), False, id="no document"),
        pytest.param({"awaiting": 3}, Goal(), True, id="nothing is asked"),
    ],
)
def test_progress(document, goal: Goal, serves: bool):
    progress = goal.progress(Served.parse(json.dumps(document).encode()))
    assert progress is (Progress.SERVES if serves else Progress.LAGS)


def test_what_nobody_can_read_serves_nothing():
    assert Goal(1).progress(Served.parse(b"\xff")) is Progress.LAGS

"""How far another proxy is with a change, by what it says of itself."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.models import Progress
from jenkins_proxy.proxy.reconcile.drain_monitor import InFlight, busy
from jenkins_proxy.proxy.reconcile.peers import Drained, Goal, Served


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


A, B = Address("10.0.0.1", 80), Address("10.0.0.2", 80)


@pytest.mark.parametrize(
    ("document", "idle", "but_for_streams"),
    [
        pytest.param({"busy": {}}, True, True, id="nothing is in flight"),
        pytest.param({}, True, True, id="an older version does not tell"),
        pytest.param({"busy": {"users": {str(A): "requests"}}}, True, True, id="on another service"),
        pytest.param({"busy": {"books": {str(B): "requests"}}}, True, True, id="on another instance"),
        pytest.param({"busy": {"books": {str(A): "requests"}}}, False, False, id="requests"),
        pytest.param({"busy": {"books": {str(A): "streams"}}}, False, True, id="streams alone"),
        pytest.param({"busy": {"books": {str(A): "uploads"}}}, False, False, id="in the words of a later version"),
        pytest.param({"busy": {"books": {str(A): ["requests"]}}}, False, False, id="in no word"),
        pytest.param({"busy": {"books": [str(A)]}}, True, True, id="no mapping"),
        pytest.param({"busy": None}, False, False, id="too many to name"),
    ],
)
def test_whether_a_drained_instance_is_idle_at_another_proxy(document, idle, but_for_streams):
    drained, served = Drained("books", frozenset({A})), Served.parse(json.dumps(document).encode())
    assert drained.idle(served, streams=True) is idle
    assert drained.idle(served, streams=False) is but_for_streams


def test_a_drain_that_nobody_has_looked_at_is_busy():
    drains = {"books": {A: "1", B: "2"}, "users": {A: "3"}}
    known = {("books", B, "2"): InFlight.NOTHING, ("users", A, "3"): InFlight.STREAMS}
    assert busy(drains, known) == {"books": {str(A): "requests"}, "users": {str(A): "streams"}}
    # Another container at the address is another drain.
    assert busy({"books": {B: "4"}}, known) == {"books": {str(B): "requests"}}
    assert busy({}, known) == {}

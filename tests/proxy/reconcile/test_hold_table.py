"""Which holds are believed: those of the store, but for what it cannot know yet or has lost."""

from __future__ import annotations

import dataclasses
import json

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.holds import Hold, Holder, Holds, parse_hold
from jenkins_proxy.proxy.reconcile.hold_table import HoldTable

HOLD = Hold("0123abcd", "ab" * 32, Route("books", ("/books",)), Holder("me@host:1"), 1.0, 2.0, version=10)
PROMOTED = dataclasses.replace(HOLD.promote([Address("10.0.0.1", 1)]), version=12)


def reported(*holds: Hold, index: int, store_id: str = "first") -> Holds:
    return Holds({hold.service: hold for hold in holds}, index, store_id)


def table(*holds: Hold) -> HoldTable:
    made = HoldTable()
    made.take(reported(*holds, index=10))
    return made


def test_what_the_store_reports_is_taken():
    made = HoldTable()
    assert made.take(reported(HOLD, index=10)) == ({"books"}, [])
    assert made.take(reported(HOLD, index=11)) == (set(), [])
    assert made.take(reported(PROMOTED, index=12)) == ({"books"}, [])
    assert made.take(reported(index=13)) == ({"books"}, [])
    assert made.all == {}


def test_an_older_report_does_not_undo_what_was_written_here():
    made = table(HOLD)
    made.put(PROMOTED)
    assert made.take(reported(HOLD, index=11)) == (set(), [])
    assert made.get("books") == PROMOTED
    made.end("books", 12)
    assert made.take(reported(PROMOTED, index=12)) == (set(), [])
    assert made.get("books") is None


def test_what_was_put_here_is_not_gone_because_an_older_report_lacks_it():
    made = table()
    made.put(PROMOTED)
    assert made.take(reported(index=11)) == (set(), [])
    assert made.take(reported(index=12)) == ({"books"}, [])


def test_a_store_that_lost_its_data_gets_the_holds_back():
    made = table(HOLD)
    for lost in (reported(index=50, store_id=""), reported(index=51, store_id="second")):
        assert made.take(lost) == (set(), [HOLD])
    assert made.store_id == "second"
    assert made.get("books") == HOLD


def test_a_server_is_down_until_it_is_not_or_the_hold_ends():
    made, down = table(HOLD), [Address("10.0.0.1", 1)]
    assert [made.set_down("books", down), made.set_down("books", down)] == [True, False]
    assert made.down("books") == frozenset(down)
    made.take(reported(index=13))
    assert made.down("books") == frozenset()


@pytest.mark.parametrize("until", ["NaN", "Infinity", "1e400", "-1", '"2"', "true", "null", "1e300"])
def test_a_hold_until_no_moment_is_no_hold(until):
    value = json.dumps(HOLD.as_dict())
    assert parse_hold("books", value.encode(), 10) == HOLD
    assert parse_hold("books", value.replace('"until": 2.0', f'"until": {until}').encode(), 10) is None

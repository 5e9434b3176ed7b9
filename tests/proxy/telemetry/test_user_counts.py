"""Counts as data: what failed, how long requests took, and the sum of several proxies."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.proxy.haproxy import ring
from jenkins_proxy.proxy.telemetry.user_counts import (
    Counts,
    PublishedCount,
    class_middle,
    duration_class,
    failed,
    total,
)
from tests.fixtures import damage


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("1a2b - - 200 -- 3", False),
        ("1a2b - - 404 -- 3", False),
        ("1a2b - - 500 -- 3", True),
        ("1a2b - - 503 SC 3", True),
        ("1a2b - - 200 SD 3", True),
        ("1a2b - - 504 sH 3", True),
        ("1a2b - - 200 CD 3", False),
        ("1a2b - - 200 cD 3", False),
        ("1a2b - - 503 CC 3", False),
        ("1a2b - - -1 CH 3", False),
        ("1a2b - - 200 KD 3", False),
        ("1a2b - - 502 PH 3", True),
        ("1a2b - - 403 PR 3", False),
        ("1a2b - - 200 PD 3", True),
        ("1a2b - - 503 RC 3", True),
    ],
)
def test_what_failed(line: str, bad: bool) -> None:
    request = ring.parse_line(line)
    assert request is not None
    assert failed(request) is bad


@pytest.mark.parametrize(
    ("line", "keyed"), [("t - - 200 -- 1", False), ("t a:1 - 200 -- 1", True), ("t - 1 200 -- 1", True)]
)
def test_a_deploys_own_requests_are_keyed(line: str, keyed: bool) -> None:
    request = ring.parse_line(line)
    assert request == ring.Request("t", keyed, 200, "--", 1)


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1 - - [28/Nov/2026:00:59:09 +0000] "GET / HTTP/1.1" 200 7 "" "a b" i b a:1 0/0/0/0 t a:1 - 200 -- 1',
        '{"uri":"\\/b?x=\\"y","termination":"--","count":"t","candidate":"a:1","probe":"-","status":200,"total_ms":1}',
    ],
)
def test_a_line_of_the_access_log_is_counted_as_any_other(line: str) -> None:
    assert ring.parse_line(line) == ring.Request("t", True, 200, "--", 1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "> ",
        "{",
        "{}",
        '{"count":"-","candidate":"-","probe":"-","status":400,"termination":"PR","total_ms":0}',
        "- - - 400 PR 0",
        "Proxy entry stopped (cumulated conns: FE: 2, BE: 0).",
        "t - - x -- 1",
    ],
)
def test_other_lines_are_no_request(line: str) -> None:
    assert ring.parse_line(line) is None


def test_haproxys_own_word_of_lost_lines() -> None:
    assert ring.is_loss("1 event dropped") and ring.is_loss("0000000017 events dropped")
    assert not ring.is_loss("1a2b - - 200 -- 3")


@pytest.mark.parametrize("milliseconds", [1, 2, 3, 7, 12, 99, 250, 1000, 4812, 60000, 3600000])
def test_a_duration_is_known_within_5_percent(milliseconds: int) -> None:
    assert class_middle(duration_class(milliseconds)) == pytest.approx(milliseconds, rel=0.05, abs=0.05)


def test_the_99th_percentile_of_all_proxies() -> None:
    quick = Counts(990, 1, {duration_class(10): 990})
    slow = Counts(10, 2, {duration_class(500): 10}, exact=False)
    assert total([quick, slow]) == Counts(1000, 3, {duration_class(10): 990, duration_class(500): 10}, exact=False)
    assert total([quick, slow]).p99_ms == pytest.approx(10, rel=0.05)
    assert total([quick, slow, slow]).p99_ms == pytest.approx(500, rel=0.05)
    assert total([]).p99_ms is None


def test_it_survives_json() -> None:
    counts = Counts(3, 1, {duration_class(5): 2, 0: 1}, exact=False)
    assert Counts.from_dict(json.loads(json.dumps(counts.as_dict()))) == counts
    assert counts.summary() == {"requests": 3, "failed": 1, "p99_ms": pytest.approx(5, rel=0.05), "exact": False}


def test_what_another_proxy_publishes_is_a_count_or_refused():
    own = Counts(5, 1, {3: 4, 200: 1})
    for value in damage.wrong_values(PublishedCount(own, ended=False).as_dict()):
        try:
            counts = PublishedCount.from_dict(json.loads(value)).counts
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        assert str(own + counts) and counts.requests >= 0

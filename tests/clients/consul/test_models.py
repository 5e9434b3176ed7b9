"""Consul's JSON as data, row by row."""

from __future__ import annotations

import pytest

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.clients.consul.models import (
    Session,
    parse_health,
    parse_node,
    parse_pairs,
    parse_session,
    passing,
    worst,
)
from jenkins_proxy.model import CRITICAL, PASSING, WARNING, Address, Instance


def check(status, check_id="service:a", service="a", output="", notes=""):
    return {"CheckID": check_id, "Status": status, "ServiceID": service, "Output": output, "Notes": notes}


def health(*checks, address="10.0.0.1", port=80):
    return {
        "Node": {"Node": "n", "Address": "10.0.0.9"},
        "Checks": list(checks),
        "Service": {"ID": "a", "Service": "a", "Address": address, "Port": port, "Tags": None, "Meta": None},
    }


NODE_UP = check(PASSING, "serfHealth", "")


# The rows that fabio's passing.go is tested with: a service, its node, and both in maintenance.
@pytest.mark.parametrize(
    ("checks", "status", "checked", "output"),
    [
        ([], PASSING, False, ""),
        ([NODE_UP], PASSING, False, ""),
        ([NODE_UP, check(PASSING)], PASSING, True, ""),
        ([NODE_UP, check(WARNING, output="slow")], WARNING, True, "slow"),
        ([NODE_UP, check(CRITICAL, output="down")], CRITICAL, True, "down"),
        ([NODE_UP, check(WARNING, output="slow"), check(CRITICAL, output="down")], CRITICAL, True, "slow"),
        ([check(CRITICAL, "serfHealth", "", "gone"), check(PASSING)], CRITICAL, True, "gone"),
        ([NODE_UP, check(CRITICAL, "_service_maintenance:a", notes="disk")], CRITICAL, False, "disk"),
        ([NODE_UP, check(CRITICAL, "_node_maintenance", "", notes="all")], CRITICAL, False, "all"),
        ([NODE_UP, check("unheard-of")], "unheard-of", True, ""),
    ],
)
def test_status(checks, status, checked, output):
    [instance] = parse_health([health(*checks)])
    assert (instance.status, instance.checked, instance.output) == (status, checked, output)
    assert (passing([instance]) == [instance]) is (status == PASSING)


def test_an_entry_without_an_address_has_its_nodes():
    assert parse_health([health(address="")])[0].address == Address("10.0.0.9", 80)


def test_instances_are_sorted():
    found = parse_health([health(port=90), health(port=9), health(address="10.0.0.0")])
    assert [str(instance.address) for instance in found] == ["10.0.0.0:80", "10.0.0.1:9", "10.0.0.1:90"]
    assert found[0] == Instance("a", "a", Address("10.0.0.0", 80), "n")


def on_node(*entries, index=5):
    services = {f"id-{number}": {"Service": name, "ModifyIndex": at} for number, (name, at) in enumerate(entries)}
    return {"Node": {"Node": "n", "ModifyIndex": index}, "Services": services}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, on_node(("web", 7)), {"web"}),
        (on_node(("web", 7)), on_node(("web", 7)), set()),
        (on_node(("web", 7), ("web", 8)), on_node(("web", 8), ("web", 7)), set()),
        (on_node(("web", 7), ("api", 8)), on_node(("web", 9), ("api", 8)), {"web"}),
        (on_node(("web", 7), ("api", 8)), on_node(("web", 7), ("api", 8), ("api", 9)), {"api"}),
        (on_node(("web", 7), ("web", 8)), on_node(("web", 8)), {"web"}),
        (on_node(("web", 7), ("api", 8)), on_node(("web", 7)), {"api"}),
        (on_node(("web", 7), ("api", 8)), on_node(("web", 7), ("api", 8), index=9), {"web", "api"}),
        (on_node(("web", 7)), None, {"web"}),
        (None, {"Node": {"ModifyIndex": 1}, "Services": None}, set()),
    ],
)
def test_what_changed_on_a_node(before, after, changed):
    assert {name for name, _ in parse_node(before).items() ^ parse_node(after).items()} == changed


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], PASSING),
        ([PASSING, WARNING], WARNING),
        ([CRITICAL, WARNING], CRITICAL),
        (["new", WARNING], "new"),
    ],
)
def test_the_worst(statuses, expected):
    assert worst(statuses) == expected


def test_an_empty_value_is_null():
    [pair] = parse_pairs([{"Key": "k", "Value": None, "ModifyIndex": 3}])
    assert (pair.value, pair.session) == (b"", "")


def test_a_session():
    row = {"ID": "1", "Name": "n", "Node": "m", "TTL": "1m", "Behavior": "release"}
    assert parse_session([row]) == Session("1", "n", "m", 60.0, "release")
    assert parse_session([{**row, "TTL": ""}]).ttl == 0
    assert parse_session([]) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("7ns", 7e-9),
        ("0", 0),
        ("-1s", -1),
        ("+1s", 1),
        (".5s", 0.5),
        ("1.s", 1),
    ],
)
def test_durations(text, seconds):
    assert go_duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "10", "s", "1d", "1 s", "1s ", "--1s", "1s2", ".", "NaN", "infs", "1e5h", "１s", "2562048h", "9" * 400 + "h"],
)
def test_no_durations(text):
    with pytest.raises(ValueError, match="invalid duration"):
        go_duration.parse(text)


@pytest.mark.parametrize(("seconds", "text"), [(10.0, "10000ms"), (0.0004, "0ms"), (12.3456, "12346ms")])
def test_durations_for_go(seconds, text):
    assert go_duration.text(seconds) == text

"""The metrics in Prometheus' text format, from states, events and HAProxy's own figures."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.events import Event
from jenkins_proxy.proxy.models import ProxyState, RouteState
from jenkins_proxy.proxy.telemetry import haproxy_stats, metrics
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic

STATS = (
    "# pxname,svname,qcur,qmax,scur,econ,eresp,wretr,rate,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,\n"
    "entry,FRONTEND,,,1,,,,3,0,10,0,0,0,0,\n"
    "books-ms-be,10.0.0.1:32768,0,0,1,0,0,0,4,0,9,0,0,0,0,\n"
    "books-ms-be,BACKEND,1,2,3,4,5,6,7,0,90,1,2,3,0,\n"
    "other,BACKEND,0,0,0,0,0,0,0,0,0,0,0,0,0,\n"
    "\n"
)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def render(state: ProxyState, meter: metrics.Meter | None = None, counted=None, version: str = "1.2.3") -> str:
    ends = {"one": 1_800_000_000.0}
    return metrics.render(version, state, meter or metrics.Meter(), counted or {}, ends).decode()


def samples(text: str) -> dict[tuple, float]:
    """Values by name and labels, as Prometheus reads them."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_haproxys_figures_are_read_by_service() -> None:
    assert haproxy_stats.parse(STATS) == {
        "books-ms": Traffic(7, 3, 1, {"1xx": 0, "2xx": 90, "3xx": 1, "4xx": 2, "5xx": 3, "other": 0}, 9, 6)
    }
    assert haproxy_stats.parse("") == {}


def test_the_daemon_its_registry_and_its_version() -> None:
    text = lines(render(ProxyState(7, True, (), registry_lost_since=1000.5)))
    assert 'jenkins_proxy_info{version="1.2.3"} 1.0' in text
    assert "jenkins_proxy_serving 1.0" in text
    assert "jenkins_proxy_config_version 7.0" in text
    assert "jenkins_proxy_registry_up 0.0" in text
    assert "jenkins_proxy_registry_lost_timestamp_seconds 1000.5" in text


def test_the_end_of_each_certificate() -> None:
    name = "jenkins_proxy_certificate_expiry_timestamp_seconds"
    assert samples(render(ProxyState(7, True, ())))[(name, ("name", "one"))] == 1_800_000_000


def test_events_are_counted_and_latencies_fall_into_steps() -> None:
    meter = metrics.Meter()
    for seconds in (0.003, 0.0025, 0.2, 60.0):
        meter.observe(Event(1.0, "in-rotation", "books-ms", seconds=seconds))
    meter.observe(Event(1.0, "reload", seconds=0.04))
    meter.observe(Event(1.0, "drift-repaired", detail="haproxy.cfg was edited"))
    text = lines(render(ProxyState(1, True, ()), meter))
    assert 'jenkins_proxy_events_total{kind="in-rotation"} 4.0' in text
    assert 'jenkins_proxy_events_total{kind="reload"} 1.0' in text
    assert "jenkins_proxy_drift_repaired_total 1.0" in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.001"} 0.0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.0025"} 1.0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.005"} 2.0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.25"} 3.0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="10.0"} 3.0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="+Inf"} 4.0' in text
    assert "jenkins_proxy_change_to_rotation_seconds_count 4.0" in text
    assert "jenkins_proxy_change_to_rotation_seconds_sum 60.2055" in text
    assert "jenkins_proxy_reload_seconds_count 1.0" in text


def test_instances_are_counted_by_state_and_none_is_a_zero(served) -> None:
    books = RouteState(Route("books-ms", ("/b",)), 14, served("books-ms", "passing", "passing", "critical"))
    empty = RouteState(Route("empty-ms", ("/e",)), 1)
    text = lines(render(ProxyState(1, True, (books, empty))))
    assert 'jenkins_proxy_route_version{service="books-ms"} 14.0' in text
    assert 'jenkins_proxy_instances{service="books-ms",state="serving"} 2.0' in text
    assert 'jenkins_proxy_instances{service="books-ms",state="critical"} 1.0' in text
    assert 'jenkins_proxy_instances{service="empty-ms",state="serving"} 0.0' in text


def test_traffic_is_told_by_service() -> None:
    text = lines(render(ProxyState(1, True, ()), counted=haproxy_stats.parse(STATS)))
    assert 'jenkins_proxy_requests_total{code="2xx",service="books-ms"} 90.0' in text
    assert 'jenkins_proxy_sessions{service="books-ms"} 3.0' in text
    assert 'jenkins_proxy_errors_total{service="books-ms"} 9.0' in text


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb"])
def test_a_label_cannot_leave_its_quotes(value: str) -> None:
    text = render(ProxyState(1, True, ()), version=value)
    assert samples(text)["jenkins_proxy_info", ("version", value)] == 1


FAMILIES = {
    ("jenkins_proxy_info", "gauge"): {"version"},
    ("jenkins_proxy_serving", "gauge"): set(),
    ("jenkins_proxy_config_version", "gauge"): set(),
    ("jenkins_proxy_registry_up", "gauge"): set(),
    ("jenkins_proxy_certificate_expiry_timestamp_seconds", "gauge"): {"name"},
    ("jenkins_proxy_registry_lost_timestamp_seconds", "gauge"): set(),
    ("jenkins_proxy_events_total", "counter"): {"kind"},
    ("jenkins_proxy_change_to_rotation_seconds", "histogram"): {"le"},
    ("jenkins_proxy_reload_seconds", "histogram"): {"le"},
    ("jenkins_proxy_drift_repaired_total", "counter"): set(),
    ("jenkins_proxy_route_version", "gauge"): {"service"},
    ("jenkins_proxy_instances", "gauge"): {"service", "state"},
    ("jenkins_proxy_requests_total", "counter"): {"service", "code"},
    ("jenkins_proxy_sessions", "gauge"): {"service"},
    ("jenkins_proxy_queued_requests", "gauge"): {"service"},
    ("jenkins_proxy_request_rate", "gauge"): {"service"},
    ("jenkins_proxy_errors_total", "counter"): {"service"},
    ("jenkins_proxy_retries_total", "counter"): {"service"},
}
"""Dashboards and alerts of users rely on these."""


def test_names_types_and_labels_are_those_that_users_rely_on(served) -> None:
    books = RouteState(Route("books-ms", ("/b",)), 1, served("books-ms"))
    meter = metrics.Meter()
    meter.observe(Event(1.0, "reload"))
    text = render(ProxyState(1, True, (books,)), meter, haproxy_stats.parse(STATS))
    # The parser takes `_total` off a counter's name.
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    labels = {
        family.name: {name for sample in family.samples for name in sample.labels}
        for family in text_string_to_metric_families(text)
    }
    own = {
        (name, kind): labels[name.removesuffix("_total") if kind == "counter" else name]
        for name, kind in types.items()
        if name.startswith("jenkins_proxy_")
    }
    assert own == FAMILIES
    assert {len(re.findall(rf"^# (?:HELP|TYPE) {name} ", text, re.MULTILINE)) for name in types} == {2}


def test_the_process_is_measured_and_each_daemon_counts_for_itself() -> None:
    one, other = metrics.Meter(), metrics.Meter()
    one.observe(Event(1.0, "reload"))
    values = samples(render(ProxyState(1, True, ()), other))
    assert values["process_resident_memory_bytes",] > 1_000_000
    assert values["process_cpu_seconds_total",] > 0
    assert ("jenkins_proxy_events_total", ("kind", "reload")) not in values
    assert not any(name.endswith("_created") for name, *_labels in values)

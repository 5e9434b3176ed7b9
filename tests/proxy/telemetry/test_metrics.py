"""The metrics in Prometheus' text format, from states, events and HAProxy's own figures."""

from __future__ import annotations

import re

import pytest

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


def render(state: ProxyState, meter: metrics.Meter | None = None, counted=None) -> str:
    return metrics.render("1.2.3", state, meter or metrics.Meter(), counted or {})


def test_haproxys_figures_are_read_by_service() -> None:
    assert haproxy_stats.parse(STATS) == {
        "books-ms": Traffic(7, 3, 1, {"1xx": 0, "2xx": 90, "3xx": 1, "4xx": 2, "5xx": 3, "other": 0}, 9, 6)
    }
    assert haproxy_stats.parse("") == {}


def test_the_daemon_its_registry_and_its_version() -> None:
    text = lines(render(ProxyState(7, True, (), registry_lost_since=1000.5)))
    assert 'jenkins_proxy_info{version="1.2.3"} 1' in text
    assert "jenkins_proxy_serving 1" in text
    assert "jenkins_proxy_config_version 7" in text
    assert "jenkins_proxy_registry_up 0" in text
    assert "jenkins_proxy_registry_lost_timestamp_seconds 1000.5" in text


def test_events_are_counted_and_latencies_fall_into_steps() -> None:
    meter = metrics.Meter()
    for seconds in (0.003, 0.0025, 0.2, 60.0):
        meter.observe(Event(1.0, "in-rotation", "books-ms", seconds=seconds))
    meter.observe(Event(1.0, "reload", seconds=0.04))
    text = lines(render(ProxyState(1, True, ()), meter))
    assert 'jenkins_proxy_events_total{kind="in-rotation"} 4' in text
    assert 'jenkins_proxy_events_total{kind="reload"} 1' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.001"} 0' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.0025"} 1' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.005"} 2' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="0.25"} 3' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="10"} 3' in text
    assert 'jenkins_proxy_change_to_rotation_seconds_bucket{le="+Inf"} 4' in text
    assert "jenkins_proxy_change_to_rotation_seconds_count 4" in text
    assert "jenkins_proxy_change_to_rotation_seconds_sum 60.2055" in text
    assert "jenkins_proxy_reload_seconds_count 1" in text


def test_instances_are_counted_by_state_and_none_is_a_zero(served) -> None:
    books = RouteState(Route("books-ms", ("/b",)), 14, served("books-ms", "passing", "passing", "critical"))
    empty = RouteState(Route("empty-ms", ("/e",)), 1)
    text = lines(render(ProxyState(1, True, (books, empty))))
    assert 'jenkins_proxy_route_version{service="books-ms"} 14' in text
    assert 'jenkins_proxy_instances{service="books-ms",state="serving"} 2' in text
    assert 'jenkins_proxy_instances{service="books-ms",state="critical"} 1' in text
    assert 'jenkins_proxy_instances{service="empty-ms",state="serving"} 0' in text


def test_traffic_is_told_by_service() -> None:
    text = lines(render(ProxyState(1, True, ()), counted=haproxy_stats.parse(STATS)))
    assert 'jenkins_proxy_requests_total{service="books-ms",code="2xx"} 90' in text
    assert 'jenkins_proxy_sessions{service="books-ms"} 3' in text
    assert 'jenkins_proxy_errors_total{service="books-ms"} 9' in text


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb"])
def test_a_label_cannot_leave_its_quotes(value: str) -> None:
    text = metrics.render(value, ProxyState(1, True, ()), metrics.Meter(), {})
    assert re.search(r'^jenkins_proxy_info\{version="(?:[^"\\\n]|\\.)*"\} 1$', text, re.MULTILINE)


def test_every_line_is_a_comment_or_a_sample(served) -> None:
    books = RouteState(Route("books-ms", ("/b",)), 1, served("books-ms"))
    text = render(ProxyState(1, True, (books,)), counted=haproxy_stats.parse(STATS))
    assert text.endswith("\n")
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+|[a-z_]+\{le="\+Inf"\} \d+')
    assert [line for line in lines(text) if not sample.fullmatch(line)] == []
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) == len(set(families)) == len(re.findall(r"^# HELP", text, re.MULTILINE))

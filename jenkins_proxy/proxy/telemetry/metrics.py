"""The daemon's metrics in Prometheus' text format: events as they happen, everything else when it is scraped."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jenkins_proxy.proxy.events import Event
from jenkins_proxy.proxy.models import ProxyState, RouteState, ServedInstance
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. The goals are 25 ms with a raised connection limit and 150 ms without: the steps are dense around both.
ROTATION_STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RELOAD_STEPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# When a counter was made is when the daemon started, which process_start_time_seconds says once and not for each.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped


class Meter:
    """Counts events, and measures the process.

    :ivar registry: of this daemon alone.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "jenkins_proxy_events_total", "Events by kind; reloads are among them.", ["kind"], registry=self.registry
        )
        self._rotation = Histogram(
            "jenkins_proxy_change_to_rotation_seconds",
            "From the registry's wake-up to HAProxy's confirmation of the instance.",
            buckets=ROTATION_STEPS,
            registry=self.registry,
        )
        self._reloads = Histogram(
            "jenkins_proxy_reload_seconds",
            "Check and hitless reload of a new configuration.",
            buckets=RELOAD_STEPS,
            registry=self.registry,
        )
        self._drift = Counter(
            "jenkins_proxy_drift_repaired_total",
            "How often HAProxy or its files were found changed by somebody else, and put right.",
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def observe(self, event: Event) -> None:
        """Count an event."""
        self._events.labels(event.kind).inc()
        if event.kind == "in-rotation":
            self._rotation.observe(event.seconds)
        elif event.kind == "drift-repaired":
            self._drift.inc()
        elif event.kind == "reload":
            self._reloads.observe(event.seconds)


def render(
    version: str, state: ProxyState, meter: Meter, traffic: Mapping[str, Traffic], certificate_ends: Mapping[str, float]
) -> bytes:
    """All metrics as text.

    :param version: of the program.
    :param traffic: what HAProxy counted, by service.
    :param certificate_ends: seconds since 1970, by the certificate's name.
    """
    return prometheus_client.generate_latest(_Scrape(version, state, meter, traffic, certificate_ends))


class _Scrape(Collector):
    """What one scrape shows."""

    def __init__(
        self,
        version: str,
        state: ProxyState,
        meter: Meter,
        traffic: Mapping[str, Traffic],
        certificate_ends: Mapping[str, float],
    ) -> None:
        self._version = version
        self._state = state
        self._meter = meter
        self._traffic = traffic
        self._certificate_ends = certificate_ends

    def collect(self) -> Iterator[Metric]:
        yield from _daemon(self._version, self._state)
        yield from self._meter.registry.collect()
        yield from _routes(self._state.routes)
        yield from _traffic(self._traffic)
        yield _certificates(self._certificate_ends)


def _daemon(version: str, state: ProxyState) -> Iterator[Metric]:
    info = GaugeMetricFamily("jenkins_proxy_info", "The program's version.", labels=["version"])
    info.add_metric([version], 1)
    yield info
    for name, text, value in (
        ("serving", "1 while HAProxy runs with the latest configuration.", state.serving),
        ("config_version", "The version of the configuration that HAProxy runs.", state.version),
        ("registry_up", "1 while the registry answers.", state.registry_lost_since is None),
        (
            "registry_lost_timestamp_seconds",
            "When the registry stopped to answer; 0 while it answers.",
            state.registry_lost_since or 0,
        ),
    ):
        yield GaugeMetricFamily(f"jenkins_proxy_{name}", text, value=float(value))


def _routes(routes: Iterable[RouteState]) -> Iterator[Metric]:
    versions = GaugeMetricFamily("jenkins_proxy_route_version", "The version of each route.", labels=["service"])
    instances = GaugeMetricFamily(
        "jenkins_proxy_instances",
        "Instances: serving, draining, waiting for their first answer, or their status in the registry.",
        labels=["service", "state"],
    )
    for state in routes:
        service = state.route.service
        versions.add_metric([service], state.version)
        counts = Tally(map(_state, state.instances))
        # A service that lost its last instance must show a 0, not vanish from the graph.
        counts.setdefault("serving", 0)
        for name, count in sorted(counts.items()):
            instances.add_metric([service, name], count)
    yield versions
    yield instances


def _certificates(ends: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(
        "jenkins_proxy_certificate_expiry_timestamp_seconds",
        "When each certificate ends, in seconds since 1970: users' by name, others by the file, its first to end.",
        labels=["name"],
    )
    for name, end in sorted(ends.items()):
        family.add_metric([name], end)
    return family


def _state(served: ServedInstance) -> str:
    if served.serving:
        return "serving"
    return "draining" if served.draining else "waiting" if served.waiting_seconds else served.instance.status


def _traffic(traffic: Mapping[str, Traffic]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "jenkins_proxy_requests", "Answers through the proxy since its last reload.", labels=["service", "code"]
    )
    sessions = GaugeMetricFamily("jenkins_proxy_sessions", "Requests under way.", labels=["service"])
    queued = GaugeMetricFamily("jenkins_proxy_queued_requests", "Requests that wait for a server.", labels=["service"])
    rate = GaugeMetricFamily("jenkins_proxy_request_rate", "Requests in the last second.", labels=["service"])
    errors = CounterMetricFamily(
        "jenkins_proxy_errors", "Requests without a good connection or answer from a server.", labels=["service"]
    )
    retries = CounterMetricFamily("jenkins_proxy_retries", "Connections tried again.", labels=["service"])
    for service, row in sorted(traffic.items()):
        for code, count in sorted(row.answers.items()):
            requests.add_metric([service, code], count)
        sessions.add_metric([service], row.sessions)
        queued.add_metric([service], row.queued)
        rate.add_metric([service], row.rate)
        errors.add_metric([service], row.errors)
        retries.add_metric([service], row.retries)
    yield from (requests, sessions, queued, rate, errors, retries)

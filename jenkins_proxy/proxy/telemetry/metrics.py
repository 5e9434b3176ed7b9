"""The daemon's figures in Prometheus' text format 0.0.4, and the counting of the events that the daemon publishes."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jenkins_proxy.proxy.events import Event
from jenkins_proxy.proxy.models import ProxyState, RouteState
from jenkins_proxy.proxy.telemetry.haproxy_stats import Traffic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. The goals are 25 ms with a raised connection limit and 150 ms without: the steps are dense around both.
ROTATION_STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RELOAD_STEPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Sample = tuple[Mapping[str, str], float]


@dataclass
class Histogram:
    """Counts of observed seconds by upper bound.

    :ivar steps: the bounds, rising; what is above the last one counts in ``+Inf``.
    """

    steps: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.steps) + 1)

    def observe(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(self.steps, seconds)] += 1
        self.total += seconds


class Meter:
    """Counts events."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.rotation = Histogram(ROTATION_STEPS)
        self.reloads = Histogram(RELOAD_STEPS)

    def observe(self, event: Event) -> None:
        self.kinds[event.kind] += 1
        if event.kind == "in-rotation":
            self.rotation.observe(event.seconds)
        elif event.kind == "reload":
            self.reloads.observe(event.seconds)


def render(version: str, state: ProxyState, meter: Meter, traffic: Mapping[str, Traffic]) -> str:
    """All metrics as text.

    :param version: of the program.
    :param traffic: what HAProxy counted, by service.
    """
    lines = [*_daemon(version, state), *_counted(meter), *_routes(state.routes), *_traffic(traffic)]
    return "\n".join(lines) + "\n"


def _daemon(version: str, state: ProxyState) -> Iterator[str]:
    yield from _family("jenkins_proxy_info", "gauge", "The program's version.", [({"version": version}, 1)])
    yield from _family(
        "jenkins_proxy_serving", "gauge", "1 while HAProxy runs with the latest configuration.", [({}, state.serving)]
    )
    yield from _family(
        "jenkins_proxy_config_version",
        "gauge",
        "The version of the configuration that HAProxy runs.",
        [({}, state.version)],
    )
    yield from _family(
        "jenkins_proxy_registry_up", "gauge", "1 while the registry answers.", [({}, state.registry_lost_since is None)]
    )
    yield from _family(
        "jenkins_proxy_registry_lost_timestamp_seconds",
        "gauge",
        "When the registry stopped to answer; 0 while it answers.",
        [({}, state.registry_lost_since or 0)],
    )


def _counted(meter: Meter) -> Iterator[str]:
    yield from _family(
        "jenkins_proxy_events_total",
        "counter",
        "Events by kind; reloads are among them.",
        [({"kind": kind}, count) for kind, count in sorted(meter.kinds.items())],
    )
    yield from _histogram(
        "jenkins_proxy_change_to_rotation_seconds",
        "From the registry's wake-up to HAProxy's confirmation of the instance.",
        meter.rotation,
    )
    yield from _histogram(
        "jenkins_proxy_reload_seconds", "Check and hitless reload of a new configuration.", meter.reloads
    )


def _routes(routes: Iterable[RouteState]) -> Iterator[str]:
    versions, instances = [], []
    for state in routes:
        service = state.route.service
        versions.append(({"service": service}, state.version))
        counts = Counter(
            "serving" if served.serving else "draining" if served.draining else served.instance.status
            for served in state.instances
        )
        # A service that lost its last instance must show a 0, not vanish from the graph.
        counts.setdefault("serving", 0)
        instances += [({"service": service, "state": name}, count) for name, count in sorted(counts.items())]
    yield from _family("jenkins_proxy_route_version", "gauge", "The version of each route.", versions)
    yield from _family(
        "jenkins_proxy_instances", "gauge", "Instances: serving, draining, or their status in the registry.", instances
    )


def _traffic(traffic: Mapping[str, Traffic]) -> Iterator[str]:
    rows = sorted(traffic.items())
    yield from _family(
        "jenkins_proxy_requests_total",
        "counter",
        "Answers through the proxy since its last reload.",
        [
            ({"service": service, "code": code}, count)
            for service, row in rows
            for code, count in sorted(row.answers.items())
        ],
    )
    for name, kind, text, value in (
        ("sessions", "gauge", "Requests under way.", "sessions"),
        ("queued_requests", "gauge", "Requests that wait for a server.", "queued"),
        ("request_rate", "gauge", "Requests in the last second.", "rate"),
        ("errors_total", "counter", "Requests without a good connection or answer from a server.", "errors"),
        ("retries_total", "counter", "Connections tried again.", "retries"),
    ):
        yield from _family(
            f"jenkins_proxy_{name}", kind, text, [({"service": service}, getattr(row, value)) for service, row in rows]
        )


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{_labels(labels)} {_number(value)}"


def _histogram(name: str, text: str, histogram: Histogram) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} histogram"
    below = 0
    for step, count in zip((*histogram.steps, float("inf")), histogram.counts):
        below += count
        yield f'{name}_bucket{{le="{_number(step)}"}} {below}'
    yield f"{name}_sum {_number(histogram.total)}"
    yield f"{name}_count {below}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)

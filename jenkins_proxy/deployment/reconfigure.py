"""Routing a service that runs already: wait for an instance, put the route, probe it."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import preflight, proxy_route, wait
from jenkins_proxy.deployment.steps.probe import verify_route
from jenkins_proxy.model import Route


def reconfigure(
    route: Route, context: Context, report: Report, *, probe_path: str = "", allow_empty: bool = False
) -> None:
    """Make the proxy serve the route, with the instances of the color that serves now; else what it served before.

    :param probe_path: what to request as the proof; empty means the route's first path.
    :param allow_empty: also while the registry shows no passing instance: then nothing is waited for or proven.
    :raises UsageError: for a word of the route that its grammar does not allow.
    :raises WaitTimeout: when the registry shows no passing instance in time.
    :raises ProxyError: when the daemon refuses the route.
    :raises ProbeFailed: when no instance answers through it.
    """
    preflight.check_route(route, probe_path)
    current = proxy_route.current(context.proxy, route.service)
    report.route = route = dataclasses.replace(route, color=current.color if current else "")
    if not allow_empty:
        with report.phase("wait"):
            report.registered(wait.for_count(context, route.registry_name, 1))
    with proxy_route.as_before_on_failure(context, route.service, current, report):
        with report.phase("reconfigure"):
            answer = proxy_route.put(context, route, allow_empty=allow_empty)
        serving = proxy_route.serving(answer)
        if serving:
            with report.phase("probe"):
                verify_route(context, route, probe_path, answer, serving)
    report.url = proxy_route.url(context.settings.entry, route)

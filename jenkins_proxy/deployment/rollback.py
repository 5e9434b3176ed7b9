"""Switching a blue-green service back to the containers that a deploy with ``--keep-old`` has left running."""

from __future__ import annotations

import dataclasses

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.consul.models import passing
from jenkins_proxy.deployment.context import BLUE_GREEN, Context
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import lock, proxy_route
from jenkins_proxy.deployment.steps.probe import verify_route
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route


def rollback_to_other_color(
    service: str, context: Context, report: Report, *, probe_path: str = "", lock_timeout: float = 0.0
) -> None:
    """Lead the route to the other color, in one step, and prove it.

    :raises UsageError: when the service has no route, or no other color runs.
    :raises ProbeFailed: when the other color does not answer; the route leads to where it led before, then.
    """
    validation.check_service(service)
    report.afterwards = "nothing was changed"
    with lock.hold(Consul.from_settings(context.settings), service, lock_timeout, context.console) as held:
        context = context.with_fresh_deadline()
        before = proxy_route.current(context.proxy, service)
        if before is None:
            raise UsageError(f"the proxy has no route of {service}", "status shows those that it has")
        route = _other(context, before)
        report.strategy, report.route = BLUE_GREEN, route
        context.console.step(f"switching {service} from {before.registry_name} to {route.registry_name}")
        with proxy_route.as_before_on_failure(context, service, before, report):
            with report.phase("reconfigure"):
                held.ensure_held()
                answer = proxy_route.put(context, route)
            report.registered(passing(context.registry.instances(route.registry_name)[0]))
            with report.phase("probe"):
                verify_route(context, route, probe_path, answer, report.addresses)
    report.url = proxy_route.url(context.settings.entry, route)
    context.console.step(f"done: {report.url} leads to {route.registry_name}")


def _other(context: Context, before: Route) -> Route:
    found = [dataclasses.replace(before, color=color) for color in colors.rivals(before)]
    for route in found:
        if passing(context.registry.instances(route.registry_name)[0]):
            return route
    names = " or ".join(route.registry_name for route in found)
    raise UsageError(
        f"nothing to switch {before.service} back to: no passing instance of {names}",
        "deploy with --strategy blue-green --keep-old to have one",
    )

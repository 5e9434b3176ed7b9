"""Routing a service that runs already: wait for an instance, put the route, probe it."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import probe, proxy_route, wait_count
from jenkins_proxy.errors import Stopped
from jenkins_proxy.model import Route


def reconfigure(route: Route, context: Context, *, check: Check | None = None, allow_empty: bool = False) -> Outcome:
    """Make the proxy serve the route, with the instances of the color that serves now; else what it served before.

    :param check: how an instance proves itself; None means by the route's first page.
    :param allow_empty: also while the registry shows no passing instance: then nothing is waited for or proven.
    :return: what became of it. Its error is a UsageError for a value of the route that its grammar does not allow, a
        WaitTimeout when the registry shows no passing instance in time, a ProxyError when the daemon refuses the
        route, a ProbeFailed when no instance answers through it.
    """
    outcome, check = Outcome(), check or Check()
    try:
        proxy_route.check_route(route, check)
        current = proxy_route.current(context.proxy, route.service)
        route = dataclasses.replace(route, color=current.color if current else "")
        outcome = dataclasses.replace(outcome, route=route)
        if not allow_empty:
            with context.phases.phase("wait"):
                instances = wait_count.for_count(context, route.registry_name, 1)
            outcome = dataclasses.replace(outcome, instances=outcomes.of_registry(instances))
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    try:
        with context.phases.phase("reconfigure"):
            answer = proxy_route.put(context, route, allow_empty=allow_empty)
        serving = proxy_route.serving(answer)
        if serving:
            with context.phases.phase("probe"):
                probe.verify_route(context, route, check, answer, serving)
    except (Exception, Stopped) as error:
        phase = context.phases.current
        return proxy_route.restore(context, route.service, current, outcome).failed(error, phase)
    return dataclasses.replace(outcome, url=proxy_route.url(context.settings.entry, route))

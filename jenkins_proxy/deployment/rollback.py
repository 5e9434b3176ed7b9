"""Switching a blue-green service back to the containers that a deploy with ``--keep-old`` has left running."""

from __future__ import annotations

import dataclasses

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.models import passing
from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import BLUE_GREEN, Context
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import lock, probe, proxy_route
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.model import Route

_UNCHANGED = "nothing was changed"


def rollback_to_other_color(
    service: str, context: Context, *, probe_path: str = "", lock_timeout: float = 0.0
) -> Outcome:
    """Lead the route to the other color, in one step, and prove it.

    :param probe_path: what to request as the proof; empty means the route's first path.
    :param lock_timeout: seconds to wait for a deploy of the service to end.
    :return: what became of it. Its error is a UsageError when the service has no route, or no other color runs, and a
        ProbeFailed when the other color does not answer: the route leads to where it led before, then.
    """
    outcome = Outcome(text=_UNCHANGED)
    try:
        validation.check_service(service)
        with lock.of_service(context, service, lock_timeout) as held:
            context = context.with_fresh_deadline()
            before = proxy_route.current(context.proxy, service)
            if before is None:
                raise UsageError(f"the proxy has no route of {service}", "status shows those that it has")
            route = _other(context, before)
            outcome = dataclasses.replace(outcome, strategy=BLUE_GREEN, route=route)
            context.console.step(f"switching {service} from {before.registry_name} to {route.registry_name}")
            outcome = _switch(context, held, before, route, probe_path)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        context.console.step(f"done: {outcome.url} leads to {route.registry_name}")
    return outcome


def _switch(context: Context, held: lock.Lock, before: Route, route: Route, probe_path: str) -> Outcome:
    """Lead users to the route's color; on failure back to where the route of before leads."""
    outcome = Outcome(strategy=BLUE_GREEN, route=route, text=_UNCHANGED)
    try:
        with context.phases.phase("reconfigure"):
            held.ensure_held()
            answer = proxy_route.put(context, route)
        instances = outcomes.of_registry(passing(context.registry.instances(route.registry_name)[0]))
        outcome = dataclasses.replace(outcome, instances=instances)
        with context.phases.phase("probe"):
            probe.verify_route(context, route, probe_path, answer, outcome.addresses)
    except lock.LockLost as error:
        return outcome.failed(error, context.phases.current)
    except (Exception, Stopped) as error:
        phase = context.phases.current
        return proxy_route.restore(context, route.service, before, outcome).failed(error, phase)
    return dataclasses.replace(outcome, url=proxy_route.url(context.settings.entry, route), text="")


def _other(context: Context, before: Route) -> Route:
    routes = [dataclasses.replace(before, color=color) for color in colors.rivals(before)]
    for route in routes:
        if passing(context.registry.instances(route.registry_name)[0]):
            return route
    names = " or ".join(route.registry_name for route in routes)
    raise UsageError(
        f"nothing to switch {before.service} back to: no passing instance of {names}",
        "deploy with --strategy blue-green --keep-old to have one",
    )

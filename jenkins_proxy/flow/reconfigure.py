"""Routing a service that runs already: wait for an instance, put the route, probe it."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.errors import UsageError
from jenkins_proxy.flow import preflight, probe, routing, wait
from jenkins_proxy.flow.report import Report
from jenkins_proxy.flow.request import World
from jenkins_proxy.model import Address, Route


def reconfigure(route: Route, world: World, report: Report, *, probe_path: str = "", allow_empty: bool = False) -> None:
    """Make the proxy serve the route, with the instances of the colour that serves now; else what it served before.

    :param probe_path: what to request as the proof; empty means the route's first path.
    :param allow_empty: also while the registry shows no passing instance: then nothing is waited for or proven.
    :raises UsageError: for a word of the route that its grammar does not allow.
    :raises WaitTimeout: when the registry shows no passing instance in time.
    :raises ProxyError: when the daemon refuses the route.
    :raises ProbeFailed: when no instance answers through it.
    """
    preflight.check_route(route, probe_path)
    current = routing.current(world.proxy, route.service)
    report.route = route = dataclasses.replace(route, color=current.color if current else "")
    if not allow_empty:
        with report.phase("wait"):
            report.registered(wait.for_count(world, route.registry_name, 1))
    with routing.as_before_on_failure(world, route.service, current, report):
        with report.phase("reconfigure"):
            answer = routing.put(world, route, allow_empty=allow_empty)
        serving = routing.serving(answer)
        if serving:
            with report.phase("probe"):
                prove(world, route, probe_path, answer, serving)
    report.url = routing.url(world.settings.entry, route)


def prove(world: World, route: Route, probe_path: str, answer: dict, instances: list[Address]) -> Address:
    """Ask the entry until one of the instances has answered through the route.

    :param answer: the daemon's, about the route.
    :return: the instance that answered.
    """
    settings = world.settings
    asked = probe.question(settings.entry, route, probe_path, answer["probe"], cacert=settings.proxy_cacert)
    if not asked.path:
        raise UsageError(f"the route of {route.service} names no page to probe", "give --probe-path")
    world.console.step(f"probe: {asked}")
    answered = probe.until_new(asked, instances, world.deadline)
    world.console.step(f"probe: answered by {answered}")
    return answered

"""Switching a blue-green service back to the containers that a deploy with ``--keep-old`` has left running."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from jenkins_proxy import releases, validation
from jenkins_proxy.clients.consul.models import passing
from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.context import BLUE_GREEN, Context, DeployOptions
from jenkins_proxy.deployment.failure import resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.failure.take_back import take_back
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import hold as holds
from jenkins_proxy.deployment.steps import lock, probe, proxy_route, users
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.releases import Release

_UNCHANGED = "nothing was changed"


def rollback_to_other_color(options: DeployOptions, context: Context) -> Outcome:
    """Verify the other color's instances, and lead all users to them in one step.

    :param options: of these the service's name, how an instance proves itself, and the limits.
    :return: what became of it. Its error is a UsageError when the service has no route, or no other color runs, and a
        ProbeFailed when the other color does not answer: users have not met it, then.
    """
    outcome, service = Outcome(text=_UNCHANGED), options.service
    try:
        validation.check_service(service)
        proxy_route.check_page(options.check)
        with lock.of_service(context, service, options.lock_timeout) as held:
            context = context.with_fresh_deadline().under(held.ensure_held)
            _end_hold(context, service)
            before = proxy_route.current(context.proxy, service)
            if before is None:
                raise UsageError(f"the proxy has no route of {service}", "status shows those that it has")
            route = _other(context, before)
            outcome = dataclasses.replace(outcome, strategy=BLUE_GREEN, route=route)
            context.console.step(f"switching {service} from {before.registry_name} to {route.registry_name}")
            counting = users.Counting(context, service, options.max_errors)
            candidates = Candidates.begin(context, options, route, held)
            outcome = users.finish(counting, _switch(context, candidates, before, counting))
            release_log.record(context, service, releases.ROLLBACK, outcome, like=_deployed_as(route.color))
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        context.console.step(f"done: {outcome.url} leads to {route.registry_name}")
    return outcome


def _deployed_as(color: str) -> Callable[[Release], bool]:
    """Whether a release is the one whose containers have this color."""
    return lambda one: one.color == color and one.outcome == releases.DONE and bool(one.image)


def _end_hold(context: Context, service: str) -> None:
    """End the hold of a rollback that was killed. A deploy's, which has a record, is for the next one, or ``abort``."""
    left = resume.leftovers(IntentLog(context.registry, service), context)
    if left.hold is None:
        return
    if left.kept and not left.hold.expired:
        holds.refuse_kept(left.hold)
    if left.record is not None:
        raise UsageError(f"{left.hold.describe()}: its deploy was broken off", f"abort {service} puts things in order")
    holds.end(context, service, left.hold.id)


def _switch(context: Context, candidates: Candidates, before: Route, counting: users.Counting) -> Outcome:
    """Lead users to the candidates; on failure they stay, or go back, where the route of before leads."""
    route = candidates.hold.route
    outcome = Outcome(strategy=BLUE_GREEN, route=route, text=_UNCHANGED)
    try:
        instances = outcomes.of_registry(passing(context.registry.instances(route.registry_name)[0]))
        outcome = dataclasses.replace(outcome, instances=instances)
        candidates.verify(outcome.addresses)
        candidates.promote(candidates.verified)
        with context.phases.phase("probe"):
            answer = context.proxy.get_route(route.service) or {}
            probe.verify_route(context, route, candidates.check, answer, outcome.addresses)
        counting.check()
        candidates.end(context)
    except lock.LockLost as error:
        return outcome.failed(error, context.phases.current)
    except (Exception, Stopped) as error:
        phase = context.phases.current
        return take_back(context, candidates, before, outcome.failed(error, phase))
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

"""Taking candidates away that a deploy has left, on purpose or because it was killed; users stay on what serves."""

from __future__ import annotations

import dataclasses

from jenkins_proxy import releases, validation
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.context import Context, DeployOptions
from jenkins_proxy.deployment.failure import first_deploy, resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.deployment.steps import lock, proxy_route
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.errors import Stopped
from jenkins_proxy.orchestrator.base import AUTO
from jenkins_proxy.validation import few


def abort(options: DeployOptions, context: Context) -> Outcome:
    """Remove the containers that no user has met, and end the hold that kept users from them.

    All that it needs to know stands in the registry: it may run on another machine than the deploy. Where nothing is
    held it does nothing.

    :param options: of these the service's name, and the limits.
    :return: what became of it.
    """
    outcome, service = Outcome(text="nothing was changed"), options.service
    try:
        validation.check_service(service)
        with lock.of_service(context, service, options.lock_timeout) as held:
            context = context.with_fresh_deadline().under(held.ensure_held)
            intent_log = IntentLog(context.registry, service)
            left = resume.leftovers(intent_log, context)
            record = left.record
            if left.undeploying or (record is None and left.hold is None):
                context.console.step(f"nothing of {service} is held")
                return dataclasses.replace(outcome, text="")
            outcome = dataclasses.replace(outcome, text="of what the deploy has left, some may be left still")
            orchestrator = place = None
            still: list[str] = []
            if record is not None:
                outcome = dataclasses.replace(outcome, strategy=record.strategy, orchestrator=record.orchestrator)
                orchestrator = colors.orchestrator(context, record.project, record.orchestrator or AUTO)
                place = colors.place(context, record)
            with lock.with_project(context, held, service, place, options.lock_timeout) as both:
                context = context.under(both.ensure_held)
                both.ensure_held()
                resume.clean_up(
                    left, context, options, both, orchestrator=orchestrator, target=record.target if record else ""
                )
                if record is not None and not left.promoted:
                    still = first_deploy.undo(record, context)
                    if place is not None and not record.old:
                        note.remove(context.registry, service, place.project)
            intent_log.end()
            route = proxy_route.if_reachable(context, service)
            outcome = dataclasses.replace(outcome, route=route)
            release_log.record(context, service, releases.ABORT, outcome, like=lambda one: one.outcome == releases.HELD)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    serves = f"the proxy serves {proxy_route.describe(route)}" if route else f"there is no route of {service}"
    there = f"; still there: {few(still)}" if still else ""
    context.console.step(f"aborted: what was held of {service} is gone; {serves}{there}")
    return dataclasses.replace(outcome, route=route, text="")

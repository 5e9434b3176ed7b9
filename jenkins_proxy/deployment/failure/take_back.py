"""Users back to what they met before a hold, where no container has to go for that, or has gone already."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.model import Route
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed


def take_back(context: Context, candidates: Candidates, before: Route | None, outcome: Outcome) -> Outcome:
    """Lead users back where they were let in, and end the hold.

    :param before: the route that they had; None where there was none.
    :param outcome: of the command, with its error.
    :return: the outcome, with the route that the proxy serves now, and what that is in words.
    """
    patient = context.with_deadline(Deadline(context.timing.put_route))
    context.confirm()
    with undisturbed():
        try:
            candidates.demote(patient)
            candidates.end(patient)
        except JenkinsProxyError as error:
            return dataclasses.replace(outcome, text=f"the route is NOT as before: {error.message}")
    text = (
        f"the proxy serves {proxy_route.describe(before)} as before"
        if before
        else f"there is no route of {candidates.hold.route.service}, as before"
    )
    return dataclasses.replace(outcome, route=before, url="", reverted=True, text=text)

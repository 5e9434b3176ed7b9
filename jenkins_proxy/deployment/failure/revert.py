"""Back to what served before, when a deploy fails before its end; proven like the deploy itself.

Users go back first, where they were let in. Then the candidates go, and only then the hold that keeps users from them.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.failure import container_logs
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import drain, probe, proxy_route, wait
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.deployment.strategies.base import Serving, Strategy
from jenkins_proxy.errors import JenkinsProxyError, ProbeFailed, RegistryError, Stopped
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.retry import Deadline, retry
from jenkins_proxy.signals import undisturbed
from jenkins_proxy.validation import few


def revert(
    strategy: Strategy,
    context: Context,
    intent_log: IntentLog,
    failure: Exception | Stopped,
    outcome: Outcome,
    *,
    candidates: Candidates | None,
) -> Outcome:
    """Undo a deploy that failed or was stopped. No signal breaks that off.

    What the failing containers wrote is shown and kept in the outcome before they are removed.

    :param candidates: what the deploy has started; None where nobody keeps users from it, as without a proxy.
    :param failure: what ended the deploy.
    :param outcome: of the deploy so far.
    :return: the outcome, ended by the failure, with what serves now.
    :raises LockLost: when another deploy had the lock meanwhile: what serves is that one's to decide.
    """
    phase = context.phases.current
    context.confirm()
    context.console.warning(f"{phase or 'deploy'}: {_reason(failure)}; rolling back")
    with undisturbed():
        patient = context.with_deadline(Deadline(context.timing.revert))
        if candidates is not None:
            _lead_back(candidates, patient)
        failing = container_logs.collect(strategy.orchestrator, strategy.failing, context)
        outcome = dataclasses.replace(outcome, failing=failing, instances=(), route=strategy.before.route, url="")
        outcome = outcome.failed(failure, phase)
        outcome = _restore(strategy, patient, intent_log, candidates, outcome)
    context.console.step(outcome.text)
    return outcome


def _reason(failure: BaseException) -> str:
    if isinstance(failure, Stopped):
        return f"stopped by {failure.signal_name}"
    return failure.message if isinstance(failure, JenkinsProxyError) else repr(failure)


def _restore(
    strategy: Strategy, context: Context, intent_log: IntentLog, candidates: Candidates | None, outcome: Outcome
) -> Outcome:
    """Bring back the old containers, take the new ones away, end the hold, and prove that the old ones serve."""
    stage = "NOT rolled back"
    try:
        if candidates is not None and candidates.promoted and strategy.before.route is not None:
            drain.drain(context, candidates.hold.route, strategy.started())
        serving = strategy.revert(context)
        stage = "the old containers are back, but not proven" if serving.containers else _nothing_before(serving)
        if candidates is not None:
            candidates.end(context)
        outcome = dataclasses.replace(outcome, instances=_wait(strategy, context, serving))
        outcome = _prove(strategy, context, serving, outcome)
        intent_log.end()
    except LockLost:
        raise
    except Exception as error:
        return dataclasses.replace(outcome, text=f"{stage}: {_reason(error)}")
    return dataclasses.replace(outcome, reverted=True)


def _lead_back(candidates: Candidates, context: Context) -> None:
    """Lead users back at once to what still runs; whether that worked is found out when it is proven."""
    at_once = context.with_deadline(context.deadline.within(context.timing.lead_back))
    with contextlib.suppress(JenkinsProxyError):
        candidates.demote(at_once)


def _wait(strategy: Strategy, context: Context, serving: Serving) -> tuple[outcomes.ReportedInstance, ...]:
    """Wait until the registry shows what serves now."""
    # A registry that is away may be why all this began: containers may need long to be healthy, it may not.
    retry(context.registry.leader, context.deadline.within(context.timing.registry_back), (RegistryError,))
    if not serving.containers:
        return ()
    route = strategy.before.route
    name = route.registry_name if route else strategy.options.service
    return outcomes.of_matching(wait.for_containers(context, serving.orchestrator, name, serving.containers))


def _prove(strategy: Strategy, context: Context, serving: Serving, outcome: Outcome) -> Outcome:
    """Put the old route, and ask for what serves now through the proxy.

    :return: the outcome, with the URL, and what serves in words.
    """
    route, containers = strategy.before.route, serving.containers
    answer = None
    if strategy.route is not None:
        answer = proxy_route.put_back(context, strategy.options.service, route)
    if not containers:
        return dataclasses.replace(outcome, text=f"rolled back: {_nothing_before(serving)}")
    along = f", and {', '.join(strategy.ready.sides.others)} as before" if strategy.ready.sides.others else ""
    text = f"rolled back to {named(containers)}{along}{_still_there(serving)}"
    if answer is None or route is None:
        return dataclasses.replace(outcome, text=text)
    answered = _verify(strategy, context, route, answer, outcome)
    url = proxy_route.url(context.settings.entry, route)
    return dataclasses.replace(outcome, url=url, text=f"{text}, proven by {answered}")


def _nothing_before(serving: Serving) -> str:
    return "nothing had served before" + (_still_there(serving) or ", and what was started is removed")


def _still_there(serving: Serving) -> str:
    return f"; still there: {', '.join(serving.left)}" if serving.left else ""


def named(containers: Sequence[Container]) -> str:
    """What serves again: an image is often called as its service is, so it is said what is what."""
    images = few(sorted({container.image for container in containers}))
    names = few(sorted(container.name for container in containers))
    return f"{len(containers)} container(s) of image {images}: {names}"


def _verify(strategy: Strategy, context: Context, route: Route, answer: Mapping[str, Any], outcome: Outcome) -> Address:
    """The old instance that answers: at the page that the deploy was to be proven by, or at the old route's own.

    Where the proof itself failed, its page may be what is wrong; elsewhere it is the one that is known to be good.
    """
    given = strategy.options.check
    checks = [given, Check()] if probe.names_page(route) else [given]
    if outcome.phase in ("probe", "verify"):
        checks.reverse()
    failures = []
    for check in dict.fromkeys(checks):
        try:
            return probe.verify_route(context, route, check, answer, outcome.addresses)
        except ProbeFailed as failure:
            failures.append(failure)
    raise failures[0]

"""Back to what served before, when a deploy fails between bring-up and probe; proven like the deploy itself."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from jenkins_proxy.deployment.context import PATIENCE, Context
from jenkins_proxy.deployment.failure import container_logs
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import drain, probe, proxy_route, wait
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.deployment.steps.probe import verify_route
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.errors import JenkinsProxyError, ProbeFailed, RegistryError, Stopped
from jenkins_proxy.model import Address, Container
from jenkins_proxy.retry import Deadline, retry
from jenkins_proxy.signals import undisturbed

_AT_ONCE = 5.0
_REGISTRY = 10.0


@contextlib.contextmanager
def on_failure(strategy: Strategy, context: Context, report: Report, intent_log: IntentLog) -> Iterator[None]:
    """Roll back when the block fails or is stopped, and put into the report what serves then.

    What the failing containers wrote is shown and kept in the report before they are removed.
    """
    report.afterwards = ""
    try:
        yield
    except LockLost:
        report.afterwards = "not rolled back: what serves is now the other deploy's to decide"
        raise
    except (Exception, Stopped) as failure:  # a bug of ours is no reason to leave users with what fails
        context.console.warning(f"{report.during or 'deploy'}: {_reason(failure)}; rolling back")
        with undisturbed():
            container_logs.collect(strategy.orchestrator, strategy.started, context, report)
            with_timeout = dataclasses.replace(context, deadline=Deadline(PATIENCE))
            report.afterwards = _roll_back(strategy, with_timeout, report, intent_log)
        context.console.step(report.afterwards)
        raise


def _reason(failure: BaseException) -> str:
    if isinstance(failure, Stopped):
        return f"stopped by {failure.signal_name}"
    return failure.message if isinstance(failure, JenkinsProxyError) else repr(failure)


def _roll_back(strategy: Strategy, context: Context, report: Report, intent_log: IntentLog) -> str:
    """Undo the strategy, and say in words what serves now."""
    before, stage = strategy.before, "NOT rolled back"
    report.instances, report.route, report.url = [], before.route, ""
    try:
        if strategy.route is not None:
            _lead_back(strategy, context)
            if before.route is not None:  # else no route leads to them any more
                drain.drain(context, strategy.route, strategy.started())
        restored = strategy.restore(context)
        stage = "the old containers are back, but not proven"
        told = _prove(strategy, context, report, restored)
        intent_log.end()
    except Exception as error:
        return f"{stage}: {_reason(error)}"
    report.rolled_back = True
    return told


def _lead_back(strategy: Strategy, context: Context) -> None:
    """Lead users back at once to what still runs; whether that worked is found out when it is proven."""
    at_once = dataclasses.replace(context, deadline=context.deadline.within(_AT_ONCE))
    with contextlib.suppress(JenkinsProxyError):
        proxy_route.put_back(at_once, strategy.options.service, strategy.before.route)


def _prove(strategy: Strategy, context: Context, report: Report, restored: Sequence[Container]) -> str:
    """What serves now, in words, after the registry and a request through the proxy have shown it."""
    before, service = strategy.before, strategy.options.service
    # A registry that is away may be why all this began: containers may need long to be healthy, it may not.
    retry(context.registry.leader, context.deadline.within(_REGISTRY), (RegistryError,))
    containers = before.others if before.elsewhere else restored
    if containers:
        name = before.route.registry_name if before.route else service
        report.found(wait.for_containers(context, before.elsewhere or strategy.orchestrator, name, containers))
    answer = proxy_route.put_back(context, service, before.route) if strategy.route is not None else None
    if not containers:
        return "rolled back: nothing had served before, and what was started is removed"
    told = f"rolled back to {len(containers)} container(s) of {', '.join(sorted({c.image for c in containers}))}"
    if answer is None:
        return told
    report.url = proxy_route.url(context.settings.entry, before.route)
    return f"{told}, proven by {_asked(strategy, context, report, answer)}"


def _asked(strategy: Strategy, context: Context, report: Report, answer: dict) -> Address:
    """The old instance that answers: at the page that the deploy was to be proven by, or at the old route's own.

    Where the proof itself failed, its page may be what is wrong; elsewhere it is the one that is known to be good.
    """
    given = strategy.options.probe_path
    pages = [given, ""] if probe.names_page(strategy.before.route) else [given]
    if report.during == "probe":
        pages.reverse()
    failures = []
    for page in dict.fromkeys(pages):
        try:
            return verify_route(context, strategy.before.route, page, answer, report.addresses)
        except ProbeFailed as failure:
            failures.append(failure)
    raise failures[0]

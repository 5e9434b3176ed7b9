"""The deploy: finished when users reach the new instances through the proxy, and not before."""

from __future__ import annotations

import dataclasses

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.context import Context, DeployOptions
from jenkins_proxy.deployment.dry_run import show as show_plan
from jenkins_proxy.deployment.failure import resume, revert
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import lock, preflight, proxy_route, wait
from jenkins_proxy.deployment.steps.probe import verify_route
from jenkins_proxy.deployment.strategies import select
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.errors import ProbeFailed

_FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"


def deploy(options: DeployOptions, context: Context, report: Report, *, dry_run: bool = False) -> None:
    """Bring a compose service up, route it and prove it; on failure put back what served before.

    :param report: filled on the way.
    :param dry_run: say what would be done, and change nothing.
    :raises JenkinsProxyError: by the phase that failed: 2 and 4 from preflight, 5 from bring up, 3 from wait, 4 from
        reconfigure, 6 from probe.
    """
    report.afterwards = "nothing was changed"
    ready = preflight.check(options, context)
    options = dataclasses.replace(options, route=ready.route)
    report.strategy, report.orchestrator = ready.strategy, ready.orchestrator.name
    report.route = options.route
    context.console.step(f"strategy {ready.strategy}: {ready.why}")
    if dry_run:
        report.plan = show_plan(select.begin(options, context, ready), context)
        return
    # The thread that keeps the lock alive has a registry client of its own.
    with lock.hold(
        Consul.from_settings(context.settings), options.service, options.lock_timeout, context.console
    ) as held:
        context = context.with_fresh_deadline()
        intent_log = IntentLog(context.registry, options.service)
        wanted = resume.recover(intent_log, context, ready, report)
        strategy = select.begin(options, context, ready, wanted)
        if options.pull:
            with report.phase("bring_up"):
                ready.orchestrator.pull(deadline=context.deadline)
        intent_log.begin(strategy)
        with revert.on_failure(strategy, context, report, intent_log):
            for count in strategy.steps:
                _bring_up_and_prove(strategy, count, context, report, held)
        report.during, report.afterwards = "retire", _FORWARD
        intent_log.proven()
        in_the_end = strategy.finish()
        if in_the_end:
            report.found(in_the_end)
        intent_log.end()
    report.during = report.afterwards = ""
    _tell(context, report)


def _bring_up_and_prove(strategy: Strategy, count: int, context: Context, report: Report, held: lock.Lock) -> None:
    with report.phase("bring_up"):
        new = strategy.bring_up(count)
    with report.phase("wait"):
        report.found(
            wait.for_containers(
                context,
                strategy.orchestrator,
                strategy.registry_name,
                new,
                keep_running=strategy.keep_running,
                settle=strategy.options.settle,
            )
        )
    if strategy.route is None:
        return
    with report.phase("reconfigure"):
        held.ensure_held()
        answer = proxy_route.put(context, strategy.route)
        report.route = strategy.route
    with report.phase("probe"):
        try:
            verify_route(context, strategy.route, strategy.options.probe_path, answer, report.addresses)
        except ProbeFailed:
            # One that died after it was passing answers nobody: its own last words say more than the proxy's 503.
            wait.check_alive(strategy.orchestrator, new)
            raise
        report.url = proxy_route.url(context.settings.entry, strategy.route)


def _tell(context: Context, report: Report) -> None:
    where = f" at {report.url}" if report.url else ""
    context.console.step(
        f"done: {report.service}{where}: {len(report.instances)} instance(s): "
        + ", ".join(str(address) for address in report.addresses)
    )

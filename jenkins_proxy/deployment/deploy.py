"""The deploy: finished when users reach the new instances through the proxy, and not before."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.dry_run import show as show_plan
from jenkins_proxy.deployment.failure import resume, revert
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import lock, preflight, probe, proxy_route, wait
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.errors import ProbeFailed, Stopped
from jenkins_proxy.model import Address, Container, Route

_UNCHANGED = "nothing was changed"
_FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"
_LOCK_LOST = "not rolled back: what serves is now the other deploy's to decide"


def deploy(options: DeployOptions, context: Context, *, dry_run: bool = False) -> Outcome:
    """Bring a compose service up, route it and prove it; on failure put back what served before.

    :param dry_run: say what would be done, and change nothing.
    :return: what became of it. The error of a failed deploy has the exit code of the phase that failed: 2 and 4 from
        preflight, 5 from bring up, 3 from wait, 4 from reconfigure, 6 from probe.
    """
    outcome = Outcome(text=_UNCHANGED)
    try:
        ready = preflight.check(options, context)
        options = dataclasses.replace(options, route=ready.route)
        outcome = dataclasses.replace(outcome, orchestrator=ready.orchestrator.name, route=options.route)
        if dry_run:
            strategy = _select(options, context, ready)
            return dataclasses.replace(outcome, strategy=strategy.name, plan=show_plan(strategy, context), text="")
        with lock.of_service(context, options.service, options.lock_timeout) as held:
            outcome = _deploy_locked(options, context.with_fresh_deadline(), ready, held, outcome)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        where = f" at {outcome.url}" if outcome.url else ""
        listed = ", ".join(str(address) for address in outcome.addresses)
        context.console.step(f"done: {options.service}{where}: {len(outcome.instances)} instance(s): {listed}")
    return outcome


def _select(options: DeployOptions, context: Context, ready: Ready, count: int = 0) -> Strategy:
    strategy = select(options, context, ready, count)
    context.console.step(f"strategy {strategy.name}: {strategy.reason}")
    return strategy


def _deploy_locked(
    options: DeployOptions, context: Context, ready: Ready, held: lock.Lock, outcome: Outcome
) -> Outcome:
    """The deploy, by the holder of the service's lock."""
    intent_log = IntentLog(context.registry, options.service)
    recovery = resume.recover(intent_log, context, ready)
    outcome = dataclasses.replace(outcome, text=recovery.text or outcome.text)
    if recovery.error is not None:
        return outcome.failed(recovery.error)
    try:
        strategy = _select(options, context, ready, recovery.count)
        outcome = dataclasses.replace(outcome, strategy=strategy.name)
        if options.pull:
            with context.phases.phase("bring_up"):
                ready.orchestrator.pull(deadline=context.deadline)
        intent_log.begin(strategy.record())
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    deployment = _Deployment(strategy, context, held, intent_log)
    outcome = deployment.replace(dataclasses.replace(outcome, text=""))
    return outcome if outcome.error else deployment.finish(outcome)


@dataclass(frozen=True)
class _Deployment:
    """The steps of one deploy, which are the same for every strategy: bring up, wait, route, probe, and finish."""

    strategy: Strategy
    context: Context
    held: lock.Lock
    intent_log: IntentLog

    def replace(self, outcome: Outcome) -> Outcome:
        """Bring the new containers up and prove them, batch by batch; what fails is reverted."""
        context, strategy = self.context, self.strategy
        try:
            for count in strategy.steps:
                new = self._bring_up(count)
                outcome = dataclasses.replace(outcome, instances=self._wait(new))
                if strategy.route is not None:
                    answer = self._put_route(strategy.route)
                    self._probe(strategy.route, answer, new, outcome.addresses)
                    url = proxy_route.url(context.settings.entry, strategy.route)
                    outcome = dataclasses.replace(outcome, route=strategy.route, url=url)
        except lock.LockLost as error:
            return outcome.failed(error, context.phases.current, text=_LOCK_LOST)
        except (Exception, Stopped) as error:  # also after a bug users must not be left with what fails
            return revert.revert(strategy, context, self.intent_log, error, outcome)
        return outcome

    def finish(self, outcome: Outcome) -> Outcome:
        """Take the old containers away: the new ones serve, and from here on the way leads forward only."""
        try:
            self.intent_log.proven()
            final = self.strategy.finish()
            if final:
                outcome = dataclasses.replace(outcome, instances=outcomes.of_matching(final))
            self.intent_log.end()
        except (Exception, Stopped) as error:
            return outcome.failed(error, "retire", text=_FORWARD)
        return outcome

    def _bring_up(self, count: int) -> list[Container]:
        """Start so many new containers; returns all that the deploy has started so far."""
        with self.context.phases.phase("bring_up"):
            return self.strategy.bring_up(count)

    def _wait(self, new: list[Container]) -> tuple[outcomes.ReportedInstance, ...]:
        """Wait until the new containers are passing instances, and return these."""
        strategy = self.strategy
        with self.context.phases.phase("wait"):
            matching = wait.for_containers(
                self.context,
                strategy.orchestrator,
                strategy.registry_name,
                new,
                keep_running=strategy.keep_running,
                settle=strategy.options.settle,
            )
        return outcomes.of_matching(matching)

    def _put_route(self, route: Route) -> dict[str, Any]:
        """Lead users to the new instances; returns the daemon's answer."""
        with self.context.phases.phase("reconfigure"):
            self.held.ensure_held()
            return proxy_route.put(self.context, route)

    def _probe(
        self, route: Route, answer: Mapping[str, Any], new: list[Container], instances: Collection[Address]
    ) -> None:
        """Prove that one of the new instances answers."""
        with self.context.phases.phase("probe"):
            try:
                probe.verify_route(self.context, route, self.strategy.options.probe_path, answer, instances)
            except ProbeFailed:
                # A container that died after it was passing: its last lines say more than the proxy's 503.
                wait.check_alive(self.strategy.orchestrator, new)
                raise

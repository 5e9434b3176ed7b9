"""The deploy: finished when users reach the new instances through the proxy; until these are proven, no user does."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy import releases
from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.dry_run import show as show_plan
from jenkins_proxy.deployment.failure import resume, revert
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.removal import note as notes
from jenkins_proxy.deployment.removal import plan
from jenkins_proxy.deployment.steps import hold, lock, preflight, probe, proxy_route, users, wait
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.errors import JenkinsProxyError, ProbeFailed, RegistryError, Stopped
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.signals import undisturbed
from jenkins_proxy.validation import few

_UNCHANGED = "nothing was changed"
_FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"
_LOCK_LOST = "not rolled back: what serves is now the other deploy's to decide"


def deploy(options: DeployOptions, context: Context, *, dry_run: bool = False) -> Outcome:
    """Bring a compose service up, prove it and let users in; on failure put back what served before.

    :param dry_run: say what would be done, and change nothing.
    :return: what became of it. The error of a failed deploy has the exit code of the phase that failed: 2 and 4 from
        preflight, 4 from hold, 5 from bring up, 3 from wait, 6 from verify, 4 from promote, 6 from probe.
    """
    outcome = Outcome(text=_UNCHANGED)
    try:
        ready = preflight.check(options, context, starts=True, dry_run=dry_run)
        options = ready.options or options
        context = context.with_more_time(ready.seconds)
        by, image = ready.orchestrator.name, ready.target.image
        outcome = dataclasses.replace(outcome, orchestrator=by, route=options.route, image=image)
        if dry_run:
            strategy = _select(options, context, ready)
            return dataclasses.replace(outcome, strategy=strategy.name, plan=show_plan(strategy, context), text="")
        with lock.of_deploy(context, options.service, ready.orchestrator.place, options.lock_timeout) as held:
            locked = context.with_fresh_deadline().under(held.ensure_held)
            outcome = _deploy_locked(options, locked, ready, held, outcome)
            release_log.record(context, options.service, releases.DEPLOY, outcome)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        where = f" at {outcome.url}" if outcome.url else ""
        listed = few(outcome.addresses)
        done = f"held until {hold.clock(outcome.candidate.until)}" if outcome.candidate else "done"
        context.console.step(f"{done}: {options.service}{where}: {len(outcome.instances)} instance(s): {listed}")
    return outcome


def _select(options: DeployOptions, context: Context, ready: Ready, count: int = 0) -> Strategy:
    strategy = select(options, context, ready, count)
    context.console.step(f"strategy {strategy.name}: {strategy.reason}")
    return strategy


def _deploy_locked(
    options: DeployOptions, context: Context, ready: Ready, held: lock.Held, outcome: Outcome
) -> Outcome:
    """The deploy, by the holder of the service's lock."""
    intent_log = IntentLog(context.registry, options.service)
    recovery = resume.recover(intent_log, context, ready, options, held)
    outcome = dataclasses.replace(outcome, text=recovery.text or outcome.text)
    if recovery.error is not None:
        return outcome.failed(recovery.error)
    try:
        strategy = _select(options, context, ready, recovery.count)
        outcome = dataclasses.replace(outcome, strategy=strategy.name)
        preflight.check_holdable(options, strategy.name, serving=strategy.before.serving)
        if options.pull:
            with context.phases.phase("bring_up"):
                ready.orchestrator.pull(_pulled(ready), deadline=context.deadline)
        if options.build:
            with context.phases.phase("bring_up"):
                built = ready.project.closure(ready.target.name, *ready.sides.others)
                ready.orchestrator.build(built, deadline=context.deadline)
        candidates = _begin(strategy, context, held, intent_log)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    deployment = _Deployment(strategy, context, held, intent_log, candidates)
    return deployment.run(dataclasses.replace(outcome, text=""))


def _pulled(ready: Ready) -> list[str]:
    """The services whose images are pulled: those that get new containers."""
    sides = ready.sides
    there = {container.service for container in ready.orchestrator.containers()}
    absent = [name for name in sides.needs if name not in there or name in sides.one_shots]
    return [ready.target.name, *absent, *sides.before, *sides.late, *sides.after]


def _begin(strategy: Strategy, context: Context, held: lock.Held, intent_log: IntentLog) -> Candidates | None:
    """Write down what is about to be replaced, and keep users from whatever joins from now on.

    :return: the candidates to come; None with ``--no-proxy``.
    """
    held.ensure_held()
    intent_log.begin(strategy.record())
    if strategy.route is None:
        return None
    try:
        candidates = Candidates.begin(context, strategy.options, strategy.route, held, proven=strategy.proven)
        intent_log.held_by(candidates.hold.id)
    except lock.LockLost:
        raise
    except (Exception, Stopped):
        # Nothing was started yet, and a hold that is there is ours, whatever became of the answer.
        with undisturbed(), contextlib.suppress(JenkinsProxyError):
            left = hold.read(context.registry, strategy.options.service)
            if left is not None:
                hold.end(context, strategy.options.service, left.id)
            intent_log.end()
        raise
    return candidates


@dataclass(frozen=True)
class _Deployment:
    """The steps of one deploy, which are the same for every strategy.

    :ivar candidates: what the deploy starts, as the proxies have it; None with ``--no-proxy``.
    """

    strategy: Strategy
    context: Context
    held: lock.Held
    intent_log: IntentLog
    candidates: Candidates | None

    def run(self, outcome: Outcome) -> Outcome:
        """The whole deploy, with what users met meanwhile."""
        service, max_errors = self.strategy.options.service, self.strategy.options.max_errors
        counting = None
        try:
            if self.candidates is not None:
                counting = users.Counting(self.context, service, max_errors)
        except (Exception, Stopped) as error:
            return self._revert(error, outcome)
        outcome = self.replace(outcome, counting)
        if outcome.error is None and outcome.candidate is None:
            outcome = self.finish(outcome)
        finished = users.finish(counting, outcome)
        if finished.error is not None and outcome.candidate is not None:
            # Who would have let users in is stopped.
            return self._revert(finished.error, dataclasses.replace(finished, candidate=None))
        return finished

    def replace(self, outcome: Outcome, counting: users.Counting | None = None) -> Outcome:
        """Bring the new containers up, prove them and let users in, batch by batch; what fails is reverted."""
        strategy, candidates = self.strategy, self.candidates
        try:
            new: list[Container] = []
            for number, count in enumerate(strategy.steps):
                if number:
                    self._pause(new)
                new = self._bring_up(count)
                outcome = outcome.with_image_of(new)
                outcome = dataclasses.replace(outcome, instances=self._wait(new))
                self._verify(new, outcome.addresses)
                if not number:
                    self._bring_up_others()
                if strategy.route is None or candidates is None:
                    continue
                url = proxy_route.url(self.context.settings.entry, strategy.route)
                outcome = dataclasses.replace(outcome, route=strategy.route, url=url)
                if strategy.options.hold:
                    return self._keep(candidates, outcome)
                if candidates.verified:
                    candidates.promote(candidates.verified, self._staying())
                else:
                    candidates.promote(outcome.addresses)
                self._probe(strategy.route, new, outcome.addresses)
                if counting is not None:
                    counting.check()
        except lock.LockLost as error:
            return outcome.failed(error, self.context.phases.current, text=_LOCK_LOST)
        except (Exception, Stopped) as error:  # also after a bug users must not be left with what fails
            return self._revert(error, outcome)
        return outcome

    def finish(self, outcome: Outcome) -> Outcome:
        """Take the old containers away: users meet the new ones, and from here on the way leads forward only."""
        try:
            with self.context.phases.phase("retire"):
                self.held.ensure_held()
                self.intent_log.proven()
                final = self.strategy.finish(self.candidates)
                if final:
                    outcome = dataclasses.replace(outcome, instances=outcomes.of_matching(final))
                self.strategy.sides.forget()
                if self.candidates is not None:
                    self.candidates.end(self.context)
                self.intent_log.end()
                self._note()
        except (Exception, Stopped) as error:
            return outcome.failed(error, "retire", text=_FORWARD)
        return outcome

    def _note(self) -> None:
        """Leave what the files say to an undeploy, which may come without them."""
        ready = self.strategy.ready
        needs = plan.graph_of_files(ready.project)
        note = notes.Note(ready.orchestrator.project, ready.target.name, needs, ready.sides.others)
        with contextlib.suppress(RegistryError):
            notes.write(self.context.registry, self.strategy.options.service, note)

    def _bring_up(self, count: int) -> list[Container]:
        """Start so many new containers; returns all that the deploy has started so far."""
        with self.context.phases.phase("bring_up"):
            self.held.ensure_held()
            return self.strategy.bring_up(count)

    def _verify(self, new: list[Container], instances: Sequence[Address]) -> None:
        """Have each new instance prove itself to the proxy."""
        if self.candidates is not None:
            # What compose has left as it was serves already: it is no candidate.
            unproven = [each for each in instances if str(each) not in self.candidates.hold.serving]
            if unproven:
                self.candidates.verify(unproven, self.strategy.orchestrator, new)

    def _bring_up_others(self) -> None:
        """Bring up the other targets, now that the new containers are proven: a bad one of these disturbs none."""
        if not self.strategy.ready.sides.others:
            return
        with self.context.phases.phase("bring_up"):
            self.held.ensure_held()
            self.strategy.sides.bring_up_others(self.strategy.options.settle)

    def _pause(self, new: list[Container]) -> None:
        """Let the last batch serve for a while, and look whether it goes on to run."""
        end = self.context.deadline.within(self.strategy.options.batch_delay)
        while not end.expired:
            time.sleep(min(end.remaining, self.context.timing.poll))
            wait.check_alive(self.strategy.orchestrator, new)

    def _wait(self, new: list[Container]) -> tuple[outcomes.ReportedInstance, ...]:
        """Wait until the new containers are passing instances, and return these."""
        strategy = self.strategy
        # The proxy asks a new instance before users meet it. Without it, a look at whether it goes on to run has to do.
        settle = strategy.options.settle if strategy.route else max(strategy.options.settle, self.context.timing.steady)
        with self.context.phases.phase("wait"):
            matching = wait.for_containers(
                self.context,
                strategy.orchestrator,
                strategy.registry_name,
                new,
                keep_running=[*strategy.keep_running, *strategy.before.others],
                settle=settle,
                alone=True,
            )
        return outcomes.of_matching(matching)

    def _staying(self) -> list[Address]:
        """Where the old containers are that go on serving beside the promoted ones."""
        route = self.strategy.before.route
        name = route.registry_name if route else self.strategy.options.service
        return wait.addresses(self.context, name, self.strategy.keep())

    def _keep(self, candidates: Candidates, outcome: Outcome) -> Outcome:
        """Leave the verified candidates to a test, and to another command."""
        with self.context.phases.phase("hold"):
            self.held.ensure_held()
            hold.write_key(candidates.key, self.strategy.options.key_file)
            self.intent_log.kept()
            self._note()
            self.strategy.sides.forget()
        instances = tuple(map(str, outcome.addresses))
        found = outcomes.Candidate(candidates.hold.id, outcome.url, instances, hold.KEY_HEADER, candidates.hold.until)
        return dataclasses.replace(outcome, candidate=found)

    def _probe(self, route: Route, new: list[Container], instances: Sequence[Address]) -> None:
        """Prove that users reach one of the new instances."""
        with self.context.phases.phase("probe"):
            try:
                ready, options = self.strategy.ready, self.strategy.options
                probe.verify_route(self.context, route, options.check, ready.preview, instances)
            except ProbeFailed:
                # A container that died after it was passing: its last lines say more than the proxy's 503.
                wait.check_alive(self.strategy.orchestrator, new)
                raise

    def _revert(self, error: Exception | Stopped, outcome: Outcome) -> Outcome:
        phase = self.context.phases.current
        try:
            return revert.revert(
                self.strategy, self.context, self.intent_log, error, outcome, candidates=self.candidates
            )
        except lock.LockLost as lost:
            return outcome.failed(lost, phase, text=_LOCK_LOST)

"""Letting users in to the candidates that ``deploy --hold`` has left, and taking away what they replace."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy import releases, validation
from jenkins_proxy.deployment import matching, release_log
from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure import container_logs, first_deploy, resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.failure.take_back import take_back
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import drain, lock, preflight, probe, proxy_route, users, wait
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.steps.hold import Hold, Key
from jenkins_proxy.deployment.strategies import colors, select, swarm_rolling
from jenkins_proxy.deployment.strategies.record import DeployRecord, Interrupted
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError
from jenkins_proxy.model import Address, Container
from jenkins_proxy.orchestrator.base import STACK, Orchestrator, SwarmOrchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed
from jenkins_proxy.validation import few

_FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"


def promote(options: DeployOptions, context: Context) -> Outcome:
    """Let users in to what ``deploy --hold`` has left, and retire what served before.

    All that it needs to know stands in the registry: it may run on another machine than the deploy. A stack is the
    exception, and a target that others need: their files are needed to bring up what is left.

    :param options: of these the service's name, the files, how an instance proves itself, and the limits.
    :return: what became of it. Its error is a UsageError when nothing is held.
    """
    outcome, service = Outcome(text="nothing was changed"), options.service
    try:
        validation.check_service(service)
        proxy_route.check_page(options.check)
        with lock.of_service(context, service, options.lock_timeout) as held:
            context = context.with_fresh_deadline().under(held.ensure_held)
            intent_log = IntentLog(context.registry, service)
            left = resume.leftovers(intent_log, context)
            if left.record is None or left.hold is None or not left.kept:
                raise UsageError(f"nothing of {service} is held", "deploy --hold leaves candidates to promote")
            record = left.record
            outcome = dataclasses.replace(outcome, strategy=record.strategy, orchestrator=record.orchestrator)
            ready = _ready(options, context, record)
            place = colors.place(context, record)
            with lock.with_project(context, held, service, place, options.lock_timeout) as both:
                context = context.under(both.ensure_held)
                counting = users.Counting(context, service, options.max_errors)
                promotion = _promotion(options, context, both, intent_log, record=record, hold=left.hold, ready=ready)
                outcome = users.finish(counting, promotion.run(outcome.with_image_of(promotion.new), counting))
                release_log.record(context, service, releases.PROMOTE, outcome)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        listed = few(outcome.addresses)
        where = f" at {outcome.url}" if outcome.url else ""
        context.console.step(f"done: {service}{where}: {len(outcome.instances)} instance(s): {listed}")
    return outcome


def _ready(options: DeployOptions, context: Context, record: DeployRecord) -> Ready | None:
    """What the files say, where the rest of the deploy needs them."""
    if record.orchestrator != STACK and not record.after:
        return None
    if not options.files:
        why = f"a {STACK} is deployed" if record.orchestrator == STACK else f"{', '.join(record.after)} is brought up"
        raise UsageError(f"promote {options.service} needs the compose file: {why} from it", "give it with -f")
    asked = dataclasses.replace(
        options,
        route=None,
        project=record.project,
        target=record.target,
        others=(),
        orchestrator=record.orchestrator,
        hold=False,
    )
    return preflight.check(asked, context)


def _promotion(
    options: DeployOptions,
    context: Context,
    held: lock.Held,
    intent_log: IntentLog,
    *,
    record: DeployRecord,
    hold: Hold,
    ready: Ready | None,
) -> _Promotion:
    candidates = Candidates(context, options.check, hold, Key(context.settings.candidate_key), held)
    common = (options, context, held, intent_log, record, candidates, ready)
    if ready is not None and isinstance(ready.orchestrator, SwarmOrchestrator):
        standby = [c for c in ready.orchestrator.standby(record.target) if c.running]
        own = [c for c in ready.orchestrator.containers(record.target) if c.running]
        return _OnSwarm(*common, ready.orchestrator, standby or own, own if standby else [])
    there = select.interrupted(record, context, record.orchestrator, hold)
    old = [container for container in there.old if container.running]
    return _OnCompose(*common, there.orchestrator, there.new, old, there)


@dataclass(frozen=True)
class _Promotion(abc.ABC):
    """The second half of a deploy.

    :ivar orchestrator: of the project that was deployed into.
    :ivar new: the candidates' containers.
    :ivar old: those that served before, and run.
    """

    options: DeployOptions
    context: Context
    held: lock.Held
    intent_log: IntentLog
    record: DeployRecord
    candidates: Candidates
    ready: Ready | None
    orchestrator: Orchestrator
    new: Sequence[Container]
    old: Sequence[Container]

    def run(self, outcome: Outcome, counting: users.Counting) -> Outcome:
        context, route = self.context, self.candidates.hold.route
        try:
            with context.phases.phase("wait"):
                found = self._wait()
            outcome = dataclasses.replace(outcome, instances=outcomes.of_matching(found), route=route)
            self._let_in(matching.instance_addresses(found))
            counting.check()
        except lock.LockLost as error:
            return outcome.failed(error, context.phases.current)
        except (Exception, Stopped) as error:
            phase = context.phases.current
            try:
                return self._revert(outcome.failed(error, phase))
            except lock.LockLost as lost:
                return outcome.failed(lost, phase)
        outcome = dataclasses.replace(outcome, url=proxy_route.url(context.settings.entry, route), text="")
        try:
            with context.phases.phase("retire"):
                self.held.ensure_held()
                self.intent_log.proven()
                final = self.retire()
                if final is not None:
                    outcome = dataclasses.replace(outcome, instances=outcomes.of_matching(final))
                self.intent_log.end()
        except (Exception, Stopped) as error:
            return outcome.failed(error, "retire", text=_FORWARD)
        return outcome

    def _wait(self) -> Matching:
        """The candidates have to be what they were when they were verified."""
        name = self.candidates.hold.route.registry_name
        wait.check_alive(self.orchestrator, self.new)
        mine = [container for container in self.old if container.project == self.orchestrator.project]
        return wait.for_containers(self.context, self.orchestrator, name, self.new, keep_running=mine)

    def _let_in(self, addresses: list[Address]) -> None:
        candidates, context = self.candidates, self.context
        if candidates.key.text:  # else it is known only to those who have tested them
            candidates.verify(addresses, self.orchestrator, self.new)
        candidates.promote(addresses)
        with context.phases.phase("probe"):
            answer = context.proxy.get_route(self.options.service) or {}
            probe.verify_route(context, candidates.hold.route, candidates.check, answer, addresses)

    def _revert(self, outcome: Outcome) -> Outcome:
        """Lead users back, take the candidates away and end the hold."""
        context = self.context.with_deadline(Deadline(self.context.timing.revert))
        context.confirm()
        with undisturbed():
            with contextlib.suppress(JenkinsProxyError):
                self.candidates.demote(context.with_deadline(Deadline(context.timing.lead_back)))
            failing = container_logs.collect(self.orchestrator, lambda: self.new, context)
            outcome = dataclasses.replace(outcome, failing=failing, instances=(), url="")
            try:
                self.remove_new(context)
            except lock.LockLost:
                raise
            except JenkinsProxyError as error:
                return dataclasses.replace(outcome, text=f"NOT rolled back: {error.message}")
            outcome = take_back(context, self.candidates, self.record.route, outcome)
            if outcome.reverted:
                outcome = self._undo_first(context, outcome)
                self.intent_log.end()
        return outcome

    def _undo_first(self, context: Context, outcome: Outcome) -> Outcome:
        """Take away what a first deploy had made beside its candidates, and say what is still there of it."""
        try:
            still = first_deploy.undo(self.record, context)
        except lock.LockLost:
            raise
        except JenkinsProxyError as error:
            still = [f"what it had started beside: {error.message}"]
        return dataclasses.replace(outcome, text=f"{outcome.text}; still there: {few(still)}") if still else outcome

    @abc.abstractmethod
    def remove_new(self, context: Context) -> None:
        """Take the candidates' containers away."""

    @abc.abstractmethod
    def retire(self) -> Matching | None:
        """Take the old containers away, and end the hold.

        :return: the instances in the end, where they are others than the candidates.
        """


@dataclass(frozen=True)
class _OnCompose(_Promotion):
    """:ivar there: what the deploy has left."""

    there: Interrupted

    def remove_new(self, context: Context) -> None:
        # A request may be in flight on them if they were let in.
        hold = dataclasses.replace(self.candidates.hold, promoted=self.candidates.promoted)
        dataclasses.replace(self.there, route=hold.route, hold=hold).remove(context, self.new)

    def retire(self) -> None:
        context, record = self.context, self.record
        there = dataclasses.replace(self.there, hold=dataclasses.replace(self.candidates.hold, promoted=True))
        there.remove(context, [] if record.keep_old else self.old)
        if self.ready is not None and record.after:
            orchestrator, done = self.ready.orchestrator, self.ready.project.needs([record.target])
            context.confirm()
            orchestrator.start_needs(record.after, done=done, deadline=context.deadline)
            context.confirm()
            orchestrator.up(record.after, deadline=context.deadline)
        self.candidates.end(context)


@dataclass(frozen=True)
class _OnSwarm(_Promotion):
    orchestrator: SwarmOrchestrator

    def remove_new(self, context: Context) -> None:
        if self.old:
            context.confirm()
            self.orchestrator.remove_standby(self.record.target, deadline=context.deadline)

    def retire(self) -> Matching | None:
        context, record, candidates = self.context, self.record, self.candidates
        if not self.old:
            candidates.end(context)
            return None
        route = candidates.hold.route
        drain.drain(context, route, self.old)
        # Swarm may give a new task the address of an old one, which is no candidate's.
        candidates.renew(wait.addresses(context, route.registry_name, self.new))
        context.confirm()
        self.orchestrator.up([record.target], scale={record.target: record.count}, deadline=context.deadline)
        found = swarm_rolling.hand_back(
            context, self.orchestrator, record.target, route, self.new, candidates=candidates
        )
        candidates.end(context)
        return found

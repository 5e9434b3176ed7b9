"""More or fewer instances of a service. On the way down they are drained in the proxy before they are stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment import outcome as outcomes
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure import container_logs, resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.failure.take_back import take_back
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps import drain, feasible, lock, preflight, probe, proxy_route, users, wait
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies import colors, swarm_rolling
from jenkins_proxy.deployment.strategies.record import PROVING, RETIRING, DeployRecord
from jenkins_proxy.deployment.strategies.select import SCALE
from jenkins_proxy.errors import JenkinsProxyError, Stopped
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator, SurgeOrchestrator, SwarmOrchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed
from jenkins_proxy.validation import few


def scale(options: DeployOptions, amount: str, context: Context, *, allow_empty: bool = False) -> Outcome:
    """Have so many instances, in the registry and in the proxy; when new ones fail, go back to those that served.

    :param amount: ``3``, or ``+2`` and ``-1`` from what runs now.
    :param allow_empty: whether no instance may be left.
    :return: what became of it, with errors as :func:`~jenkins_proxy.deployment.deploy.deploy` has them.
    """
    outcome = Outcome()
    try:
        # A wrong amount is reported before anything is looked at.
        feasible.target_count(amount, 10_000, allow_empty=True)
        outcome = Outcome(text="nothing was changed")
        ready = preflight.check(options, context)
        options, context = ready.options or options, context.with_more_time(ready.seconds)
        outcome = dataclasses.replace(outcome, orchestrator=ready.orchestrator.name)
        with lock.of_deploy(context, options.service, ready.orchestrator.place, options.lock_timeout) as held:
            context = context.with_fresh_deadline().under(held.ensure_held)
            intent_log = IntentLog(context.registry, options.service)
            recovery = resume.recover(intent_log, context, ready, options, held)
            outcome = dataclasses.replace(outcome, text=recovery.text or outcome.text)
            if recovery.error is not None:
                return outcome.failed(recovery.error)
            intent_log.end()
            before = proxy_route.if_reachable(context, options.service)
            route = _route(options, before)
            outcome = dataclasses.replace(outcome, route=route)
            orchestrator = _serving_orchestrator(ready, route)
            there = tuple(orchestrator.containers(ready.target.name))
            scaling = _Scaling(options, context, held, intent_log, orchestrator, ready, before, route, there)
            count = feasible.target_count(amount, len(scaling.running), allow_empty=allow_empty)
            if ready.target.obstacle:
                feasible.check_count(ready.target, count, orchestrator.survey(ready.target.name))
            context.console.step(f"scale {options.service} from {len(scaling.running)} to {count}")
            counting = users.Counting(context, options.service, options.max_errors) if route else None
            outcome = users.finish(counting, scaling.run(count, dataclasses.replace(outcome, text=""), counting))
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)
    if outcome.error is None:
        context.console.step(f"done: {options.service} has {count} instance(s)")
    return outcome


def _route(options: DeployOptions, current: Route | None) -> Route | None:
    """The route to serve: as asked, else as it is; of the color that serves."""
    if options.route is None or current is None:
        return options.route or current
    return dataclasses.replace(options.route, color=current.color)


def _serving_orchestrator(ready: Ready, route: Route | None) -> Orchestrator:
    """The project that serves: the one of the route's color, or the base project."""
    base = ready.orchestrator
    return colors.of_route(base, ready.target.name, route) if isinstance(base, SurgeOrchestrator) else base


@dataclass(frozen=True)
class _Scaling:
    """One change of the number of instances.

    :ivar before: the route as it was, and :ivar route: as it shall be.
    :ivar there: the target's containers before, in every state.
    """

    options: DeployOptions
    context: Context
    held: lock.Held
    intent_log: IntentLog
    orchestrator: Orchestrator
    ready: Ready
    before: Route | None
    route: Route | None
    there: tuple[Container, ...]

    @property
    def target(self) -> str:
        return self.ready.target.name

    @property
    def running(self) -> list[Container]:
        return [container for container in self.there if container.running]

    @property
    def known(self) -> frozenset[str]:
        return frozenset(container.id for container in self.there)

    def _started(self) -> list[Container]:
        return [c for c in self.orchestrator.containers(self.target) if c.id not in self.known]

    def run(self, count: int, outcome: Outcome, counting: users.Counting | None = None) -> Outcome:
        phases = self.context.phases
        candidates: Candidates | None = None
        try:
            if self.route is not None and count > len(self.running):
                candidates = self._begin(self.route)
            with phases.phase("bring_up"):
                self.held.ensure_held()
                containers = self._resize(count)
            new: list[Address] = []
            if containers:
                with phases.phase("wait"):
                    matching = self._wait(containers)
                outcome = dataclasses.replace(outcome, instances=outcomes.of_matching(matching))
                new = self._new_addresses(matching)
            if self.route is None:
                return outcome
            if candidates is not None:
                self._let_in(candidates, outcome.addresses, containers, counting)
                self.intent_log.end()
            else:
                self._serve(self.route, new or outcome.addresses)
            return dataclasses.replace(outcome, url=proxy_route.url(self.context.settings.entry, self.route))
        except lock.LockLost as error:
            return outcome.failed(error, phases.current)
        except (Exception, Stopped) as error:
            phase = phases.current
            try:
                with undisturbed():
                    return self._go_back(count, candidates, outcome.failed(error, phase))
            except lock.LockLost as lost:
                return outcome.failed(lost, phase)

    def _record(self, phase: str, old: Collection[str]) -> DeployRecord:
        return DeployRecord(
            strategy=SCALE,
            phase=phase,
            project=self.orchestrator.project,
            target=self.target,
            orchestrator=self.orchestrator.name,
            old=tuple(sorted(old)),
            route=self.before,
            since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _begin(self, route: Route) -> Candidates:
        """Keep users from what is started now. A record says what that is, should this command be killed."""
        self.intent_log.begin(self._record(PROVING, self.known))
        candidates = Candidates.begin(self.context, self.options, route, self.held)
        self.intent_log.held_by(candidates.hold.id)
        return candidates

    def _let_in(
        self,
        candidates: Candidates,
        instances: Sequence[Address],
        containers: Sequence[Container],
        counting: users.Counting | None,
    ) -> None:
        """Verify the new instances, and let users in to them beside those that serve already."""
        keep = [address for address in instances if str(address) in candidates.hold.serving]
        candidates.verify([a for a in instances if a not in keep], self.orchestrator, containers)
        candidates.promote(candidates.verified, keep)
        with self.context.phases.phase("probe"):
            route, check = candidates.hold.route, self.options.check
            answer = self.context.proxy.get_route(route.service) or {}
            probe.verify_route(self.context, route, check, answer, candidates.verified or instances)
        if counting is not None:
            counting.check()
        candidates.end(self.context)

    def _resize(self, count: int) -> list[Container]:
        """Have so many containers, and return them."""
        surplus, deadline = self.running[count:], self.context.deadline
        with contextlib.ExitStack() as stack:
            if surplus and isinstance(self.orchestrator, SurgeOrchestrator):
                # What is drained and not stopped, should this command not come so far, goes with the next one.
                self.intent_log.begin(self._record(RETIRING, [container.id for container in surplus]))
                drain.retire(self.context, self.orchestrator, self.route, surplus)
            elif surplus and self.route and count and isinstance(self.orchestrator, SwarmOrchestrator):
                # A Swarm picks by itself which tasks end, and would replace one that somebody stops.
                stack.enter_context(
                    swarm_rolling.with_standby(self.context, self.orchestrator, self.target, self.route, self.running)
                )
            if count > len(self.running) and isinstance(self.orchestrator, SurgeOrchestrator):
                self.context.confirm()
                self.orchestrator.start_needs([self.target], done=self.ready.project.services, deadline=deadline)
            self.context.confirm()
            # Also after a way down: compose agrees, and what had ended by itself is started again.
            self.orchestrator.scale(self.target, count, deadline=deadline)
        if surplus and isinstance(self.orchestrator, SurgeOrchestrator):
            self.intent_log.end()
        return self.orchestrator.current_containers(self.target, before=self.known)

    def _wait(self, containers: Sequence[Container]) -> Matching:
        """Wait until these containers are passing instances."""
        name = self.route.registry_name if self.route else self.options.service
        return wait.for_containers(self.context, self.orchestrator, name, containers, settle=self.options.settle)

    def _new_addresses(self, matching: Matching) -> list[Address]:
        before = {container.id for container in self.running}
        return [i.address for match in matching.matches if match.container.id not in before for i in match.instances]

    def _serve(self, route: Route, instances: list[Address]) -> None:
        """Have the proxy serve the route, and prove it by one of these instances."""
        with self.context.phases.phase("reconfigure"):
            self.held.ensure_held()
            answer = proxy_route.put(self.context, route, allow_empty=not instances)
        check = self.options.check
        if instances and (check.path or route.check_path or probe.names_page(route)):
            with self.context.phases.phase("probe"):
                probe.verify_route(self.context, route, check, answer, instances)

    def _go_back(self, count: int, candidates: Candidates | None, outcome: Outcome) -> Outcome:
        """Put the route back where it was changed, and take the new containers away; those that served still do.

        :param candidates: what was started; None where it was not kept from users.
        :param outcome: with the error, and the phase in which it was raised.
        :return: the outcome, with what serves now.
        """
        self.context.confirm()
        routed = candidates is None and outcome.phase in ("reconfigure", "probe")
        if routed:
            outcome = proxy_route.restore(self.context, self.options.service, self.before, outcome)
        if candidates is not None:
            with contextlib.suppress(JenkinsProxyError):
                candidates.demote(self.context.with_deadline(Deadline(self.context.timing.lead_back)))
        served = candidates is None or candidates.promoted
        outcome, back, text = self._remove_started(count, self.route if served else None, outcome)
        if candidates is not None and back:
            # Else they are still there: the hold keeps users from them, and the next command ends both.
            outcome = take_back(self.context, candidates, self.before, outcome)
            if outcome.reverted:
                self.intent_log.end()
        text = "; ".join(filter(None, (text, outcome.text)))
        # Where the route was changed, it has to be back as well.
        reverted = back and (outcome.reverted or not (routed or candidates))
        outcome = dataclasses.replace(outcome, reverted=reverted, text=text, instances=self._instances_now())
        if text:
            self.context.console.step(text)
        return outcome

    def _remove_started(self, count: int, route: Route | None, outcome: Outcome) -> tuple[Outcome, bool, str]:
        """Have as many containers as before, where that is possible.

        :param route: by which users may have reached the new ones; None where none has.
        :return: the outcome with the logs of those that go, whether as many run as before, and what is so in words.
        """
        before = len(self.running)
        if count < before:
            return outcome, False, f"not rolled back: what has ended on the way down stays so{self._drained(count)}"
        if count == before:
            return outcome, True, ""
        context = self.context.with_deadline(Deadline(self.context.timing.revert))
        failing = container_logs.collect(self.orchestrator, self._started, context)
        outcome = dataclasses.replace(outcome, failing=failing)
        try:
            started = self._started()
            if started and isinstance(self.orchestrator, SurgeOrchestrator):
                drain.retire(context, self.orchestrator, route, started, made=[one.id for one in started])
            context.confirm()
            self.orchestrator.scale(self.target, before, deadline=context.deadline)
        except lock.LockLost:
            raise
        except JenkinsProxyError as error:
            return outcome, False, f"NOT back to {before} instance(s): {error.message}"
        return outcome, True, f"back to {before} instance(s)"

    def _drained(self, count: int) -> str:
        """What still runs of those that were to go, in words: it may have no users any more."""
        surplus, left = {container.id for container in self.running[count:]}, []
        with contextlib.suppress(JenkinsProxyError):
            left = [c.name for c in self.orchestrator.containers(self.target) if c.running and c.id in surplus]
        return f", and {few(left)} may get no requests any more: the next deploy or scale takes them away" * bool(left)

    def _instances_now(self) -> tuple[outcomes.ReportedInstance, ...]:
        """The instances that the registry shows after a failure; none where it cannot be asked."""
        soon = self.context.with_deadline(Deadline(self.context.timing.inventory))
        name = self.before.registry_name if self.before else self.options.service
        with contextlib.suppress(JenkinsProxyError):
            running = [c for c in self.orchestrator.containers(self.target) if c.running]
            return outcomes.of_matching(wait.for_containers(soon, self.orchestrator, name, running))
        return ()

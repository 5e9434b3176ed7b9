"""More or fewer instances of a service. On the way down they are drained in the proxy before they are stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.context import PATIENCE, Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure import container_logs, resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import drain, lock, preflight, probe, proxy_route, wait
from jenkins_proxy.deployment.steps.probe import verify_route
from jenkins_proxy.deployment.strategies import swarm_rolling
from jenkins_proxy.deployment.strategies.base import present
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.retry import Deadline
from jenkins_proxy.signals import undisturbed

_LOOK = 5.0
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]{1,4})")


def target_count(amount: str, running: int, *, allow_empty: bool = False) -> int:
    """How many instances there shall be.

    :param amount: ``3``, ``+2`` or ``-1``.
    :param running: how many run now.
    :param allow_empty: whether none may be left.
    :raises UsageError: when it is no amount, or leaves none.
    """
    parts = _AMOUNT.fullmatch(amount)
    if not parts:
        raise UsageError(f"{amount[:40]!r} is not a number of instances", "give 3, +2 or -1")
    number = int(parts["number"])
    count = {"": number, "+": running + number, "-": running - number}[parts["sign"]]
    if count < 0:
        raise UsageError(f"scale {amount}: only {running} instance(s) run")
    if count == 0 and not allow_empty:
        raise UsageError(
            f"scale {amount} leaves no instance, and its users without an answer", "if that is meant, add --allow-empty"
        )
    return count


def scale(options: DeployOptions, amount: str, context: Context, report: Report, *, allow_empty: bool = False) -> None:
    """Have so many instances, in the registry and in the proxy; when new ones fail, go back to those that served.

    :param amount: ``3``, or ``+2`` and ``-1`` from what runs now.
    :param report: filled on the way.
    :raises JenkinsProxyError: as :func:`~jenkins_proxy.deployment.deploy.deploy` does.
    """
    target_count(amount, 10_000, allow_empty=True)  # what is no amount is said before anything is looked at
    report.afterwards = "nothing was changed"
    ready = preflight.check(options, context)
    options = dataclasses.replace(options, route=ready.route)
    report.orchestrator = ready.orchestrator.name
    with lock.hold(
        Consul.from_settings(context.settings), options.service, options.lock_timeout, context.console
    ) as held:
        context = context.with_fresh_deadline()
        intent_log = IntentLog(context.registry, options.service)
        resume.recover(intent_log, context, ready, report)
        intent_log.end()
        report.afterwards = ""
        before = proxy_route.if_reachable(context, options.service)
        report.route = route = _route(options, before)
        orchestrator = _where(ready, options.service, route)
        there = tuple(orchestrator.containers(ready.target.name))
        scaling = _Scaling(options, context, report, held, orchestrator, ready.target.name, before, route, there)
        count = target_count(amount, len(scaling.running), allow_empty=allow_empty)
        context.console.step(f"scale {options.service} from {len(scaling.running)} to {count}")
        scaling.go(count)
    context.console.step(f"done: {options.service} has {count} instance(s)")


def _route(options: DeployOptions, current: Route | None) -> Route | None:
    """The route to serve: as asked, else as it is; of the color that serves."""
    if options.route is None or current is None:
        return options.route or current
    return dataclasses.replace(options.route, color=current.color)


def _where(ready: Ready, service: str, route: Route | None) -> Orchestrator:
    """The project that serves: the one of the route's color, or the base project."""
    if route is None or not route.color:
        return ready.orchestrator
    return ready.orchestrator.for_color(ready.target.name, service=service, color=route.color)


@dataclass(frozen=True)
class _Scaling:
    """One change of the number of instances.

    :ivar before: the route as it was, and :ivar route: as it shall be.
    :ivar there: the target's containers before, in every state.
    """

    options: DeployOptions
    context: Context
    report: Report
    held: lock.Lock
    orchestrator: Orchestrator
    target: str
    before: Route | None
    route: Route | None
    there: tuple[Container, ...]

    @property
    def running(self) -> list[Container]:
        return [container for container in self.there if container.running]

    @property
    def known(self) -> frozenset[str]:
        return frozenset(container.id for container in self.there)

    def _started(self) -> list[Container]:
        return [one for one in self.orchestrator.containers(self.target) if one.id not in self.known]

    def go(self, count: int) -> None:
        try:
            with self.report.phase("bring_up"):
                containers = self._resize(count)
            new = self._wait(containers)
            if self.route is not None:
                with proxy_route.as_before_on_failure(self.context, self.options.service, self.before, self.report):
                    self._serve(self.route, new or self.report.addresses)
        except lock.LockLost:
            raise
        except (Exception, Stopped):
            with undisturbed():
                self._tell(*self._go_back(count))
            raise

    def _resize(self, count: int) -> list[Container]:
        """Have so many containers, and return them."""
        surplus = self.running[count:]
        with contextlib.ExitStack() as stack:
            if surplus and self.orchestrator.surges:
                drain.retire(self.context, self.orchestrator, self.route, surplus)
            elif surplus and self.route and count:
                # A Swarm picks by itself which tasks end, and would replace one that we stop.
                stack.enter_context(
                    swarm_rolling.with_standby(self.context, self.orchestrator, self.target, self.route, self.running)
                )
            # Also after a way down: compose agrees, and what had ended by itself is started again.
            self.orchestrator.scale(self.target, count, deadline=self.context.deadline)
        return present(self.orchestrator, self.target, self.known)

    def _wait(self, containers: Sequence[Container]) -> list[Address]:
        """Wait for all containers, and return the addresses of the new ones."""
        if not containers:
            return []
        name = self.route.registry_name if self.route else self.options.service
        with self.report.phase("wait"):
            found = wait.for_containers(self.context, self.orchestrator, name, containers, settle=self.options.settle)
            self.report.found(found)
        before = {container.id for container in self.running}
        return [i.address for match in found.matches if match.container.id not in before for i in match.instances]

    def _serve(self, route: Route, instances: list[Address]) -> None:
        """Have the proxy serve the route, and prove it by one of these instances."""
        with self.report.phase("reconfigure"):
            self.held.ensure_held()
            answer = proxy_route.put(self.context, route, allow_empty=not instances)
        self.report.url = proxy_route.url(self.context.settings.entry, route)
        if instances and (self.options.probe_path or probe.names_page(route)):
            with self.report.phase("probe"):
                verify_route(context, route, self.options.probe_path, answer, instances)

    def _go_back(self, count: int) -> tuple[bool, str]:
        """Take the new containers away again; those that served still do.

        :return: whether as many run as before, and what is so in words.
        """
        before = len(self.running)
        if count < before:
            return False, "not rolled back: what has ended on the way down stays so"
        if count == before:
            return True, ""
        context = dataclasses.replace(self.context, deadline=Deadline(PATIENCE))
        container_logs.collect(self.orchestrator, self._started, context, self.report)
        try:
            started = self._started()
            if started and self.orchestrator.surges:
                drain.retire(context, self.orchestrator, self.route, started)
            self.orchestrator.scale(self.target, before, deadline=context.deadline)
        except JenkinsProxyError as error:
            return False, f"NOT back to {before} instance(s): {error.message}"
        return True, f"back to {before} instance(s)"

    def _tell(self, back: bool, told: str) -> None:
        """Put into the report what is so after a failure, with the instances that there are now."""
        report = self.report
        # Where the route was tried, it has to be back as well.
        report.rolled_back = back and (report.rolled_back or report.during not in ("reconfigure", "probe"))
        report.afterwards = "; ".join(filter(None, (told, report.afterwards)))
        if report.afterwards:
            self.context.console.step(report.afterwards)
        report.instances = []
        soon = dataclasses.replace(self.context, deadline=Deadline(_LOOK))
        name = self.before.registry_name if self.before else self.options.service
        with contextlib.suppress(JenkinsProxyError):
            present = [one for one in self.orchestrator.containers(self.target) if one.running]
            report.found(wait.for_containers(soon, self.orchestrator, name, present))

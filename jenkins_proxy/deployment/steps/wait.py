"""Waiting until the registry shows exactly the containers just started, passing. Blocking queries, no sleeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from jenkins_proxy import retry
from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import explain, neighbours
from jenkins_proxy.deployment.steps.wait_count import Progress, entries
from jenkins_proxy.errors import DeployFailed, RegistryError, WaitTimeout
from jenkins_proxy.model import CRITICAL, PASSING, Address, Container, Instance
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.validation import few

UNHEALTHY = "unhealthy"
_LINE = 300


class ContainerDied(DeployFailed):
    """A container that the deploy had started ended, or restarts again and again.

    :ivar container: as it was seen last.
    """

    def __init__(self, message: str, container: Container, hint: str = "") -> None:
        super().__init__(message, hint)
        self.container = container


class Unhealthy(WaitTimeout):
    """A container's HEALTHCHECK, or the registry's check of an instance that had passed, gave it up.

    It comes before the time is over: Docker has retries of its own, and calls a container unhealthy after these.
    """


def for_containers(
    context: Context,
    orchestrator: Orchestrator,
    service: str,
    wanted: Sequence[Container],
    *,
    keep_running: Sequence[Container] = (),
    settle: float = 0.0,
    alone: bool = False,
) -> matching.Matching:
    """Come back when every container is a passing instance, and no entry is left of one that is gone.

    :param service: the name under which the registry holds them.
    :param wanted: the containers just started.
    :param keep_running: others of the service that keep running.
    :param settle: seconds for which all of it has to stay so.
    :param alone: whether no container of others may stand at an entry of the service; else they are only named.
    :raises WaitTimeout: when the context's deadline passes, with the reason for each container.
    :raises Unhealthy: when a container or an instance is given up by its check.
    :raises DeployFailed: when a container ends meanwhile.
    :raises RegistryError: when the registry is away and does not come back in time.
    """
    if not wanted:
        raise DeployFailed(f"no container of {service} was started", "see the orchestrator's output above")
    return _Wait(context, orchestrator, service, list(wanted), list(keep_running), settle, alone).run()


@dataclass
class _Wait:
    """What one wait knows so far."""

    _context: Context
    _orchestrator: Orchestrator
    _service: str
    _wanted: list[Container]
    _keep_running: list[Container]
    _settle: float
    _alone: bool
    _index: int = 0
    _restarting: dict[str, float] = field(default_factory=dict)
    _passed: set[tuple[str, Address]] = field(default_factory=set)
    _restarts: dict[str, int] = field(default_factory=dict)
    _restarted: float | None = None
    _missing_since: float | None = None
    _patience: float = 0.0

    def __post_init__(self) -> None:
        self._progress = Progress(self._context, self._service, len(self._wanted))

    def run(self) -> matching.Matching:
        complete = clean = None
        while True:
            found = self._look()
            clock = self._context.deadline.elapsed
            good = found.complete and self._steady(clock)
            complete = (complete if complete is not None else clock) if good else None
            clean = (clean if clean is not None else clock) if good and not found.stale else None
            if complete is not None:
                settled = clock - complete >= self._settle
                if settled and (clean is not None or clock - complete >= self._context.timing.stale_grace):
                    return self._warned(found)
            if self._context.deadline.expired:
                raise self._timeout(found)
            self._give_up(found, clock)

    def _steady(self, clock: float) -> bool:
        """Whether no container restarts, or has a moment ago: that may be a loop."""
        for container in self._wanted:
            again = container.restarts > self._restarts.setdefault(container.id, 0)
            if again or container.state == "restarting":
                self._restarts[container.id] = container.restarts
                self._restarted = clock
        return self._restarted is None or clock - self._restarted >= self._context.timing.steady

    def _give_up(self, found: matching.Matching, clock: float) -> None:
        """End the wait where no patience helps, after a moment in which a registrator may yet set an entry right.

        :raises WaitTimeout: with the reason for each such container.
        """
        if not found.missing:
            self._missing_since = None
            return
        if self._missing_since is None:
            self._missing_since, self._patience = clock, self._context.timing.hopeless
        if clock - self._missing_since < self._patience:
            return
        # The registry is read as a whole for it: not at every look.
        self._patience *= 2
        everything = _entries_by_service(self._context, self._service, self._wanted)
        reasons = explain.hopeless(self._service, found, everything)
        if reasons:
            hints = few(dict.fromkeys(reason.hint for reason in reasons), separator="; ")
            raise WaitTimeout(f"{self._service}: {few(reasons, separator='; ')}", hints)

    def _look(self) -> matching.Matching:
        instances, self._index = entries(self._context, self._service, self._index)
        self._refresh()
        found = matching.match(self._wanted, instances, self._keep_running)
        unready = [match.container for match in found.matches if not match.ready]
        self._progress.show(len(found.ready), [container.name for container in (*unready, *found.missing)])
        self._check_passed(found)
        return found

    def _check_passed(self, found: matching.Matching) -> None:
        """Give up an instance that has passed and is critical: its check has had its own retries by then.

        One that has never passed may still be starting, and is waited for.
        """
        for match in found.matches:
            for instance in match.instances:
                if instance.status == CRITICAL and (instance.id, instance.address) in self._passed:
                    output = " ".join(instance.output.split())[:_LINE] or "its check says nothing"
                    raise Unhealthy(
                        f"{match.container.name}: it passed, and is critical now at {instance.address}: {output}",
                        "the check is the registry's: see SERVICE_CHECK_… in the compose file",
                    )
                if instance.status == PASSING:
                    self._passed.add((instance.id, instance.address))

    def _refresh(self) -> None:
        # A standby is a compose service of its own.
        services = {container.service for container in (*self._wanted, *self._keep_running)}
        now = {container.id: container for service in services for container in self._orchestrator.containers(service)}
        for container in self._wanted:
            self._check_alive(now.get(container.id, dataclasses.replace(container, state="removed")))
        self._wanted = [now[container.id] for container in self._wanted]
        # Of another project's containers this one knows nothing.
        elsewhere = {c.id: c for c in self._keep_running if c.project != self._orchestrator.project}
        known = {**elsewhere, **now}
        self._keep_running = [known[container.id] for container in self._keep_running if container.id in known]

    def _check_alive(self, container: Container) -> None:
        clock = self._context.deadline.elapsed
        if container.state == "restarting":
            since = self._restarting.setdefault(container.id, clock)
            if clock - since < self._context.timing.restart_loop:
                return
        if container.state not in ("created", "running"):
            raise died(self._orchestrator, container)
        check_health(self._orchestrator, container)

    def _warned(self, found: matching.Matching) -> matching.Matching:
        console = self._context.console
        others = self._neighbours(found)
        if others and self._alone:
            raise WaitTimeout(
                neighbours.describe(self._service, others), "stop them, or give them another SERVICE_NAME"
            )
        if others:
            console.warning(neighbours.describe(self._service, others))
        for match in found.matches:
            if match.unexpected:
                console.warning(
                    f"{match.container.name} is registered at {match.instances[0].address}, an address "
                    f"other than expected ({few(match.container.node_addresses) or 'none'}): taken by its ID"
                )
        theirs = {neighbour.instance for neighbour in others}
        for instance in (stale for stale in found.stale if stale not in theirs):
            console.warning(
                f"stale entry {instance.id} at {instance.address}: no running container stands behind it; "
                "the proxy keeps it out of rotation only by its own health check"
            )
        return found

    def _neighbours(self, found: matching.Matching) -> list[neighbours.Neighbour]:
        """The containers of others to which entries lead that look stale."""
        if not found.stale:
            return []
        mine = {container.id for container in (*self._wanted, *self._keep_running)}
        return neighbours.beside(found.stale, self._orchestrator.running_anywhere(), mine=mine)

    def _timeout(self, found: matching.Matching) -> WaitTimeout:
        health = {
            match.container.id: self._orchestrator.health_output(match.container)
            for match in found.matches
            if not match.ready
        }
        everything = _entries_by_service(self._context, self._service, self._wanted)
        missing = explain.diagnose(self._service, found, everything, health)
        ready = f"{len(found.ready)}/{len(self._wanted)}"
        reasons = few(missing, separator="; ")
        hints = few(dict.fromkeys(reason.hint for reason in missing if reason.hint), separator="; ")
        if not missing:  # complete, but not for long enough
            reasons, hints = f"not steady for {self._settle:g} s", "raise --timeout, or lower --settle"
            again = [container for container in self._wanted if container.restarts and self._restarted is not None]
            if again:
                reasons = f"{few(c.name for c in again)} has restarted meanwhile"
                hints = f"docker logs {again[0].name} shows why"
        seconds = self._context.deadline.seconds
        return WaitTimeout(f"{self._service}: {ready} instances passing after {seconds:g} s: {reasons}", hints)


def addresses(context: Context, registry_name: str, containers: Sequence[Container]) -> list[Address]:
    """Where the registry shows these containers now, under a name; nothing is waited for."""
    if not containers:
        return []
    instances, _ = context.registry.instances(registry_name)
    return matching.instance_addresses(matching.match(containers, instances))


def check_alive(orchestrator: Orchestrator, containers: Sequence[Container]) -> None:
    """Look at containers once more.

    :raises ContainerDied: when one of them has ended.
    :raises Unhealthy: when its HEALTHCHECK has given one up.
    """
    now = {container.id: container for container in orchestrator.containers()}
    for container in containers:
        seen = now.get(container.id, dataclasses.replace(container, state="removed"))
        if not seen.running:
            raise died(orchestrator, seen)
        check_health(orchestrator, seen)


def check_health(orchestrator: Orchestrator, container: Container) -> None:
    """:raises Unhealthy: when the container's HEALTHCHECK has given it up."""
    if container.health == UNHEALTHY:
        output = " ".join(orchestrator.health_output(container).split())[:_LINE] or "it printed nothing"
        raise Unhealthy(
            f"{container.name}: its HEALTHCHECK says {UNHEALTHY}: {output}",
            f"docker inspect {container.name} shows its last runs",
        )


def died(orchestrator: Orchestrator, container: Container) -> ContainerDied:
    """The error for a container that ended: its name, its end and the last line that it wrote."""
    lines = [] if container.state == "removed" else orchestrator.logs(container)
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
    end = {"removed": "was removed", "restarting": f"restarts again and again (exit code {container.exit_code})"}
    what = end.get(container.state, f"ended with exit code {container.exit_code}")
    return ContainerDied(
        f"{container.name} {what}: {last}", container, "its last lines are above; does the image run by itself?"
    )


def _entries_by_service(context: Context, service: str, containers: Sequence[Container]) -> dict[str, list[Instance]]:
    """The registry's entries by service, for a diagnosis: the likely names first, the others while there is time."""
    registry, deadline = context.registry, retry.Deadline(context.timing.diagnosis)
    likely = [service]
    for container in containers:
        for name in (service, explain.image_name(container.image)):
            likely += [name, *(f"{name}-{binding.container_port}" for binding in container.bindings)]
    try:
        names = registry.services()
        found = {name: registry.instances(name)[0] for name in dict.fromkeys(likely) if name in names}
        for name in names:
            if name not in found and not deadline.expired:
                found[name] = registry.instances(name)[0]
    except RegistryError:
        return {}
    return found

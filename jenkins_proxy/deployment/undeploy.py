"""Taking a service away: its route, drained first, its containers, networks, entries in the registry, and records.

What others need stays. Each step finds out what is there, so that a second run finishes what a first one has begun.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

from jenkins_proxy import validation
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.failure import resume
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.removal import look, registry, show
from jenkins_proxy.deployment.removal import note as notes
from jenkins_proxy.deployment.removal.look import Present
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.steps import drain, lock, proxy_route
from jenkins_proxy.deployment.steps import hold as holds
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import UNDEPLOYING, DeployRecord
from jenkins_proxy.errors import JenkinsProxyError, Problems, RegistryError, Stopped, UsageError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import COLORS, Orchestrator, Snapshot, SurgeOrchestrator, color_project
from jenkins_proxy.orchestrator.project import ComposeProject
from jenkins_proxy.releases import Release
from jenkins_proxy.signals import undisturbed
from jenkins_proxy.validation import few

UNDEPLOY = "undeploy"


def undeploy(options: UndeployOptions, context: Context, *, dry_run: bool = False) -> Outcome:
    """Take a service away. One that is not there is no error.

    :param dry_run: say what would go, and change nothing.
    :return: what became of it, with what was removed and what is left, in words. Its error is a UsageError when others
        need what would go or serve under the same name, a RemoteError when engine, registry or proxy does not answer,
        or somebody holds the service or its lock, a DeployFailed when the tasks of a stack do not end in time.
    """
    outcome = Outcome(text="nothing was changed")
    try:
        _check(options, context)
        log = IntentLog(context.registry, options.service)
        named = look.project(options, context, log.read(), notes.read(context.registry, options.service))
        base, files = look.orchestrator(options, context, named.name)
        context.console.step(f"using {base.name} {base.version}; project {named.name}: {named.reason}")
        outcome = dataclasses.replace(outcome, orchestrator=base.name)
        if dry_run:
            found = _look(options, context, base, files, log)
            history = len(_history(options, context, base.project) or ())
            return dataclasses.replace(outcome, plan=show.show(found, options, context, history), text="")
        with lock.of_deploy(context, options.service, base.place, options.lock_timeout) as held:
            context = context.with_fresh_deadline().under(held.ensure_held)
            found = _look(options, context, base, files, log)
            return _Undeployment(options, context, log, found).run(outcome)
    except (Exception, Stopped) as error:
        return outcome.failed(error, context.phases.current)


def _history(options: UndeployOptions, context: Context, project: str) -> Sequence[Release] | None:
    """The releases that go; None of a service that others go on with: its route stays, or it is of another project."""
    note = notes.read(context.registry, options.service)
    goes = options.proxy and (note is None or note.project == project)
    return release_log.read(context.registry, options.service) if goes else None


def _check(options: UndeployOptions, context: Context) -> None:
    """Whether all that is needed is there: every problem in one answer."""
    problems = Problems()
    good = problems.gather(lambda: validation.check_service(options.service))
    problems.gather(lambda: _check_registry(context))
    if options.proxy and good:
        # A dry run shows at once whether the daemon answers and takes our token.
        problems.gather(lambda: context.proxy.remove_route(options.service, dry_run=True))
    problems.raise_any()


def _check_registry(context: Context) -> None:
    if not context.registry.leader():
        raise RegistryError(f"the registry at {context.settings.consul} has no leader", "see its log")
    lacking = context.registry.missing_rights(rights.DEPLOY)
    if lacking:
        raise RegistryError(*rights.lack(rights.DEPLOY, lacking))


def _look(
    options: UndeployOptions, context: Context, base: Orchestrator, files: ComposeProject | None, log: IntentLog
) -> Present:
    """What there is now; a service that somebody holds on purpose is left to who does."""
    left = resume.leftovers(log, context)
    if left.hold is not None and left.kept and not left.hold.expired:
        holds.refuse_kept(left.hold)
    mine = {base.project, *(color_project(base.project, color) for color in COLORS)}
    record = left.record
    if record is not None and record.project not in mine:
        raise UsageError(
            f"a deploy of {options.service} into project {record.project} was broken off",
            f"abort {options.service} puts that in order, or -p {record.project} undeploys it",
        )
    note = notes.read(context.registry, options.service)
    mine_too = note if note is not None and note.project == base.project else None
    found = look.Look(options, context, base, files, record, mine_too).present()
    if note is not None and mine_too is None and not found.leaving and not found.going.services:
        raise UsageError(
            f"project {base.project} has nothing of {options.service}, which the last deploy put into {note.project}",
            f"-p {note.project} undeploys that; remove {options.service} takes away the route alone",
        )
    return found


@dataclass
class _Undeployment:
    """One undeploy, by the holder of the locks.

    :ivar removed: what is gone so far, in words.
    :ivar step: what is being done.
    """

    options: UndeployOptions
    context: Context
    log: IntentLog
    found: Present
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    step: str = ""

    def run(self, outcome: Outcome) -> Outcome:
        service = self.options.service
        try:
            self._take_away()
        except lock.LockLost as error:
            return self._ended(outcome).failed(error, self.step, text="what is left is the other command's to decide")
        except (Exception, Stopped) as error:
            self._look_again()
            gone = f"gone: {few(self.removed, 10)}; " if self.removed else ""
            there = few(self.left, 10) or f"what else there is of {service}"
            text = f"{gone}still there: {there}; undeploy {service} again takes the rest away"
            return self._ended(outcome).failed(error, self.step, text=text)
        there = f"; still there: {few(self.left, 10)}" if self.left else ""
        if self.removed:
            self.context.console.step(f"done: {service} is undeployed: {few(self.removed, 10)}{there}")
        else:
            self.context.console.step(f"nothing of {service} is there{there}")
        return dataclasses.replace(self._ended(outcome), text="")

    def _look_again(self) -> None:
        """See what is gone and what is still there after a failure, as far as the engine says it."""
        base, leaving = self.found.base, self.found.leaving
        said, self.left = set(self.removed), []
        with undisturbed(), contextlib.suppress(JenkinsProxyError):
            there = {container.id for container in base.containers()}
            for project in {container.project for container in self.found.colored}:
                there |= {c.id for c in colors.orchestrator(self.context, project, base.name).containers()}
            names = {container.id: f"container {container.name}" for container in leaving}
            self.removed += [name for key, name in names.items() if key not in there and name not in said]
            self.left = [*(name for key, name in names.items() if key in there), *base.belongings().values()]

    def _ended(self, outcome: Outcome) -> Outcome:
        return dataclasses.replace(outcome, removed=tuple(self.removed), left=tuple(self.left))

    def _take_away(self) -> None:
        found, options = self.found, self.options
        volumes = found.volumes()
        if found.leaving or found.going.services or found.route is not None:
            self._begin()
        if found.routed:
            self.context.console.warning(
                f"users of {few(found.routed)} are led to what goes: undeploy that, too, or remove its route"
            )
        if found.route is not None:
            self.step = "remove the route"
            self._remove_route()
        self.step = "retire"
        self._remove_containers()
        self.left += found.staying()
        if found.going.others and not found.known and found.targets:
            self.context.console.warning(
                f"what {few(found.targets)} needs of {few(found.going.others)} is in no label of {found.base.name}: "
                "-f with the compose file says it, --with-sides takes all of the project"
            )
        self.step = "remove networks"
        self._remove_belongings()
        self.step = "remove volumes"
        self._remove_volumes(volumes if options.volumes else (), volumes)
        self.step = "leave the registry"
        self._leave_registry()
        self.context.confirm()
        if self.log.read() is not None:
            self.log.end()
        self._forget()

    def _forget(self) -> None:
        registry, service, project = self.context.registry, self.options.service, self.found.base.project
        history = _history(self.options, self.context, project)
        if history is not None:
            release_log.forget(registry, service)
            self.removed += [f"history of {len(history)} release(s)"] if history else []
        notes.remove(registry, service, project)

    def _begin(self) -> None:
        """Write down what goes: the containers that say so may be gone when a second run comes."""
        found = self.found
        first, *others = found.targets or ("",)
        self.context.confirm()
        self.log.begin(
            DeployRecord(
                strategy=UNDEPLOY,
                phase=UNDEPLOYING,
                project=found.base.project,
                target=first,
                old=tuple(sorted(container.id for container in found.leaving)),
                since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                orchestrator=found.base.name,
                others=tuple(dict.fromkeys([*others, *(n for n in found.going.services if n != first)])),
            )
        )

    def _remove_route(self) -> None:
        route, context = self.found.route, self.context
        if route is None:
            return
        running = [container for container in self.found.instances if container.running]
        if running:
            drain.drain(context, route, running)
        proxy_route.put_back(context, route.service, None)
        self.removed.append(f"route {proxy_route.describe(route)}")
        context.console.step(f"the proxy routes {route.service} no more")

    def _remove_containers(self) -> None:
        """The instances first, then each need, once nobody is there who needs it."""
        found = self.found
        if not isinstance(found.base, SurgeOrchestrator):
            # A Swarm starts again what is only stopped.
            for name in (*found.standbys, *found.going.services):
                self.context.confirm()
                self.context.console.step(f"removing service {name} of stack {found.base.project}")
                found.base.restore([Snapshot(name)], deadline=self.context.deadline)
                self.removed.append(f"service {name}")
            return
        self._end(found.base, found.instances)
        for name in found.going.services:
            self._end(found.base, [c for c in found.containers if c.service == name and c not in found.instances])

    def _end(self, base: SurgeOrchestrator, containers: Sequence[Container]) -> None:
        made = [container.id for container in containers] if self.options.volumes else []
        drain.retire(self.context, base, None, containers, made=made)
        self.removed += [f"container {container.name}" for container in containers]

    def _remove_belongings(self) -> None:
        base = self.found.base
        before = base.belongings()
        if before:
            self.context.confirm()
            left = base.remove_belongings((), deadline=self.context.deadline)
            self.removed += [one for one in before.values() if one not in left]
            self.left += left

    def _remove_volumes(self, asked: Sequence[str], known: Sequence[str]) -> None:
        left = list(known)
        if asked:
            self.context.confirm()
            left = self.found.base.remove_volumes(asked, deadline=self.context.deadline)
            self.removed += [f"volume {name}" for name in asked if name not in left]
        elif left:
            self.context.console.step(f"the volumes stay: {few(left)}; --volumes takes them along")
        self.left += [f"volume {name}" for name in left]

    def _leave_registry(self) -> None:
        gone, left = registry.leave(self.context, self.found.entries.gone)
        self.removed += [f"entry {instance.id}" for instance in gone]
        others = [instance for _, instance in self.found.entries.others]
        still = [*left, *others, *self.found.entries.elsewhere]
        self.left += [f"entry {instance.id} at {instance.address}" for instance in still]

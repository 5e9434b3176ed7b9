"""What there is of a service: its project and containers, its route, and its entries in the registry.

A branch that was deleted has left no compose file. So all is found by the engine's labels and by the registry, with the
note that the last deploy has left there, and files are read only where they are given, or where no project is.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass

from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.removal import plan
from jenkins_proxy.deployment.removal.note import Note
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.removal.plan import Entries, Going
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import UNDEPLOYING, DeployRecord
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator import detect, project_name
from jenkins_proxy.orchestrator.base import COLORS, Orchestrator, SurgeOrchestrator, SwarmOrchestrator, color_project
from jenkins_proxy.orchestrator.compose.project_files import ProjectName, located, variables
from jenkins_proxy.orchestrator.project import ComposeProject


@dataclass(frozen=True)
class Present:
    """What there is, and what of it goes.

    :ivar base: the orchestrator of the project.
    :ivar targets: the services whose containers are the instances, and more that were asked for with them.
    :ivar going: the services of the project that go.
    :ivar containers: of these, in every state; of a stack's standby, too.
    :ivar colored: the target's containers in the projects of its colors.
    :ivar route: None where there is none, or the proxy is left alone.
    :ivar entries: of the service and its colors in the registry.
    :ivar known: whether it is known what the target needs.
    :ivar standbys: the services of a stack that stand in for the targets.
    :ivar routed: the other services whose routes lead to containers that go.
    """

    base: Orchestrator
    targets: tuple[str, ...]
    going: Going
    containers: tuple[Container, ...]
    colored: tuple[Container, ...]
    route: Route | None
    entries: Entries
    known: bool
    standbys: tuple[str, ...] = ()
    routed: tuple[str, ...] = ()

    @property
    def leaving(self) -> tuple[Container, ...]:
        """All containers that go."""
        return (*self.colored, *self.containers)

    @property
    def instances(self) -> tuple[Container, ...]:
        """Those that users may meet."""
        mine = {*self.targets, *self.standbys}
        return (*self.colored, *(c for c in self.containers if c.service in mine))

    def volumes(self) -> tuple[str, ...]:
        """The volumes of what goes; all of the project where nothing else of it is there."""
        alone = not self.going.others and not self.going.kept
        return self.base.volumes(None if alone else self.going.services, more=self.colored)

    def staying(self) -> list[str]:
        """What is not to go, in words."""
        return [*self.going.left(), *(f"route of {name}" for name in self.routed)]


def project(options: UndeployOptions, context: Context, record: DeployRecord | None, note: Note | None) -> ProjectName:
    """The project to undeploy from.

    1. the one that ``-p`` gives;
    2. the one that a deploy would take, where there are files;
    3. the one that a deploy, or an undeploy, which was broken off went into;
    4. the one whose containers stand at the service's entries in the registry;
    5. the one of the last deploy;
    6. the one that a deploy would take.

    :raises UsageError: when containers of several projects serve under the name.
    """
    if not options.project and not reads_files(options, context):
        if record is not None:
            return ProjectName(colors.place(context, record).project, "what was broken off went into it")
        found = _serving_projects(options.service, context)
        if len(found) > 1:
            raise UsageError(
                f"containers of several projects serve as {options.service}: {', '.join(sorted(found))}",
                "name one of them with -p",
            )
        if found:
            return ProjectName(found.pop(), f"its containers serve as {options.service}")
        if note is not None:
            return ProjectName(note.project, f"the last deploy of {options.service} went into it")
    return project_name.resolve(
        context.settings,
        given=options.project,
        service=options.service,
        files=options.files,
        wanted=options.orchestrator,
    )


def reads_files(options: UndeployOptions, context: Context) -> bool:
    """Whether compose files say what there is: those that are given, or without a project those that compose finds."""
    environ = variables(options.files, context.settings.docker_environment(), os.getcwd())
    return bool(options.files or (not options.project and located(options.files, environ, os.getcwd())))


def _serving_projects(service: str, context: Context) -> set[str]:
    """The projects whose containers stand at the entries of the service; of a color's, the base project."""
    running = containers.running(Engine.from_settings(context.settings))
    found = set()
    for color in ("", *COLORS):
        suffix = f"-{color}" if color else ""
        for instance in context.registry.instances(f"{service}{suffix}")[0]:
            found |= {
                container.project.removesuffix(suffix)
                for container in running
                if container.project.endswith(suffix)
                and instance.address in matching.addresses(container)
                and matching.may_name(instance, container)
            }
    return found - {""}


def orchestrator(options: UndeployOptions, context: Context, name: str) -> tuple[Orchestrator, ComposeProject | None]:
    """The orchestrator of the project, and what the files say where they are read."""
    if not reads_files(options, context):
        return colors.orchestrator(context, name, options.orchestrator), None
    found, _ = detect.choose_readable(
        context.settings,
        context.console,
        project=name,
        files=options.files,
        wanted=options.orchestrator,
        profiles=options.profiles,
        targets=options.targets,
    )
    return found, found.validate()


@dataclass(frozen=True)
class Look:
    """What is looked at, and for what.

    :ivar base: the orchestrator of the project.
    :ivar files: what they say; None where they are not read.
    :ivar record: of a command in this project that was broken off.
    :ivar note: of the last deploy into it.
    """

    options: UndeployOptions
    context: Context
    base: Orchestrator
    files: ComposeProject | None
    record: DeployRecord | None
    note: Note | None = None

    def present(self) -> Present:
        """Look at all of it.

        :raises UsageError: when others need what goes, or serve under the same name.
        """
        options, base = self.options, self.base
        route = proxy_route.current(self.context.proxy, options.service) if options.proxy else None
        there = base.containers()
        targets = self._targets(there)
        standbys = {f"{name}-standby" for name in targets} if isinstance(base, SwarmOrchestrator) else set()
        names = base.present_services() - standbys
        colored = tuple(container for container in self._of_colors if container.service in targets)
        graph = self._graph(there, targets)
        asked = [*targets, *options.sides, *(sorted(names) if options.with_sides else ())]
        absent = [name for name in (*options.targets, *options.sides) if name not in names]
        if absent and names and not colored:
            self.context.console.step(f"project {base.project} has no {', '.join(absent)}: {', '.join(sorted(names))}")
        going = plan.going(list(dict.fromkeys(asked)), graph, names)
        leaving = tuple(container for container in there if container.service in {*going.services, *standbys})
        entries = self._entries(route, (*colored, *leaving), colors_too=bool(colored))
        if options.proxy and (route is not None or leaving or colored):
            plan.refuse_shared(options.service, entries, base.project)
        known, standing = all(name in graph for name in targets), tuple(sorted(standbys & base.present_services()))
        routed = self._routed((*colored, *leaving))
        return Present(base, targets, going, leaving, colored, route, entries, known, standing, routed)

    def _routed(self, leaving: Sequence[Container]) -> tuple[str, ...]:
        """The other services whose users are led to what goes, as by another port of it."""
        if not self.options.proxy or not leaving:
            return ()
        going = {address for container in leaving for address in matching.addresses(container)}
        return tuple(
            answer["service"]
            for answer in self.context.proxy.routes()
            if answer["service"] != self.options.service and not going.isdisjoint(proxy_route.serving(answer))
        )

    def _graph(self, there: Sequence[Container], targets: Sequence[str]) -> dict[str, set[str]]:
        """Who needs whom: files win over labels, and these over the note of the last deploy."""
        noted = {name: set(needs) for name, needs in self.note.needs.items()} if self.note else {}
        files = plan.graph_of_files(self.files) if self.files else {}
        graph = {**noted, **plan.graph_of_labels(there), **files}
        along = set(self.note.others) if self.note else set()
        if self.record is not None and self.record.phase == UNDEPLOYING:
            # An undeploy that was broken off was to take these.
            along |= set(self.record.others)
        for target in targets if along else ():
            graph[target] = (graph.get(target) or set()) | (along - {target})
        return graph

    def _entries(self, route: Route | None, leaving: Sequence[Container], *, colors_too: bool) -> Entries:
        """The entries under the names that users are led by; under those of other colors only what goes."""
        service, instances = self.options.service, self.context.registry.instances
        led = dict.fromkeys([service, route.registry_name if route else service])
        running, node = self.base.running_anywhere(), self.base.node_addresses()
        found = plan.entries([i for name in led for i in instances(name)[0]], leaving, running, node)
        if not (colors_too or self.record):
            return found
        more = [f"{service}-{color}" for color in COLORS if f"{service}-{color}" not in led]
        colored = plan.entries([i for name in more for i in instances(name)[0]], leaving, running, node)
        mine, stale = (*found.mine, *colored.mine), (*found.stale, *colored.stale)
        return dataclasses.replace(found, mine=mine, stale=stale)

    def _targets(self, there: Sequence[Container]) -> tuple[str, ...]:
        """The services whose containers are the instances, and the others that were named with the first."""
        options = self.options
        first, *others = options.targets or ("",)
        if self.files is not None:
            target = self.files.target(first)
            self.files.sides(target.name, options.sides, others=others)
            if not first and any(c.service == target.name for c in there):
                self._check_meant(target.name, there)
            return (target.name, *others)
        if first:
            return (first, *others)
        return self._known_targets(there)

    def _check_meant(self, target: str, there: Sequence[Container]) -> None:
        """Refuse what the files call the target where nothing says that it is this service: it may be another's folder.

        :raises UsageError: with how to say that it is meant.
        """
        known = self._known_targets(there)
        if target not in known:
            name = self.options.service
            other = f"; {', '.join(known)} is" if known else ""
            raise UsageError(
                f"{target} of project {self.base.project} is not known as {name}{other}",
                f"-p names the project of {name}; --target {target} says that this one is meant",
            )

    def _known_targets(self, there: Sequence[Container]) -> tuple[str, ...]:
        """The services that are this one in the registry, by whoever knows it."""
        for written in (self.record, self.note):
            if written is not None and written.target:
                return (written.target,)
        instances = self.context.registry.instances(self.options.service)[0]
        serving = {
            container.service
            for container in there
            if any(i.address in matching.addresses(container) and matching.may_name(i, container) for i in instances)
        }
        colored = {container.service for container in self._of_colors}
        return tuple(sorted(serving or colored or self.base.named_services(self.options.service)))

    @functools.cached_property
    def _of_colors(self) -> list[Container]:
        """The containers of its colors: each is in a project of its own, and says the color in its name."""
        base, found = self.base, []
        for color in COLORS if isinstance(base, SurgeOrchestrator) else ():
            project = colors.orchestrator(self.context, color_project(base.project, color), base.name)
            named = project.named_services(f"{self.options.service}-{color}")
            found += [container for container in project.containers() if container.service in named]
        return found

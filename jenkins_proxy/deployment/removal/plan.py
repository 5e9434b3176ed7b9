"""Which services and which entries of the registry go with a service. Pure: data in, data out.

The target goes, and what it needs and nobody else does. Who needs what is in the compose files, in the labels that
compose v2 writes, and in the note of the last deploy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.deployment import matching
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Container, Instance
from jenkins_proxy.orchestrator.project import ComposeProject
from jenkins_proxy.validation import few

NEEDS = "com.docker.compose.depends_on"

Graph = Mapping[str, Collection[str]]
"""By service, what it needs to run."""


@dataclass(frozen=True)
class Going:
    """The services of a project that go.

    :ivar services: in the order in which they end: each before what it needs.
    :ivar kept: what they need and stays, with the reason: another one needs it, too, or may.
    :ivar others: the services that have nothing to do with it.
    """

    services: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def left(self) -> list[str]:
        """What stays of the project, in words."""
        needed = [f"service {name}, which {why}" for name, why in sorted(self.kept.items())]
        return [*needed, *(f"service {name}" for name in self.others)]


def graph_of_labels(containers: Iterable[Container]) -> dict[str, set[str]]:
    """What services need, by what compose v2 has written of them: ``db:service_started:true,cache:…``."""
    graph: dict[str, set[str]] = {}
    for container in containers:
        if NEEDS in container.labels:
            needs = [entry.partition(":")[0] for entry in container.labels[NEEDS].split(",")]
            graph.setdefault(container.service, set()).update(name for name in needs if name)
    return graph


def graph_of_files(project: ComposeProject) -> dict[str, set[str]]:
    """The same by the files. What lives in a service's network goes with it."""
    return {name: {*service.needs, *service.sharers} for name, service in project.services.items()}


def going(asked: Sequence[str], graph: Graph, present: Collection[str]) -> Going:
    """The services that go.

    :param asked: those that are asked for: the targets first.
    :param graph: a service that is not in it may need anything.
    :param present: the services that have containers.
    :raises UsageError: when another one that is there needs one of those.
    """
    wanted = closure(graph, asked)
    others = sorted(set(present) - wanted)
    needed_by = {need: name for name in reversed(others) for need in closure(graph, [name]) - {name}}
    blocked = [name for name in asked if name in needed_by and name in present]
    if blocked:
        name, other = blocked[0], needed_by[blocked[0]]
        raise UsageError(
            f"{other} needs {name}, and is there: it would be left without",
            f"--side {other} takes it along, --with-sides all of the project",
        )
    kept = {name: f"{needed_by[name]} needs" for name in wanted if name in needed_by and name in present}
    unknown = [name for name in others if name not in graph]
    if unknown:
        kept = {**{name: f"{unknown[0]} may need" for name in wanted - set(asked) if name in present}, **kept}
    services = [name for name in _in_order(graph, asked) if name in present and name not in kept]
    return Going(tuple(services), kept, tuple(others))


def closure(graph: Graph, names: Iterable[str]) -> set[str]:
    """These services, and what they need, directly or not."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.get(name, ())
    return found


def _in_order(graph: Graph, asked: Sequence[str]) -> list[str]:
    """The closure, each service before what it needs; what needs one another stands as it comes."""
    ordered: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for need in sorted(graph.get(name, ())):
                visit(need)
            ordered.append(name)

    for name in reversed(asked):
        visit(name)
    return ordered[::-1]


@dataclass(frozen=True)
class Entries:
    """The registry's entries of a service, by whose they are.

    :ivar mine: of the containers that go.
    :ivar stale: at this node, and no container that runs stands behind them: their registrator was away.
    :ivar others: of containers that stay, by the container.
    :ivar elsewhere: on nodes whose containers nobody here knows.
    """

    mine: tuple[Instance, ...] = ()
    stale: tuple[Instance, ...] = ()
    others: tuple[tuple[Container, Instance], ...] = ()
    elsewhere: tuple[Instance, ...] = ()

    @property
    def gone(self) -> tuple[Instance, ...]:
        """Those that are to leave the registry."""
        return (*self.mine, *self.stale)


def entries(
    found: Iterable[Instance], leaving: Sequence[Container], running: Sequence[Container], node: Collection[str]
) -> Entries:
    """Sort the entries of a service.

    :param leaving: the containers that go.
    :param running: all containers that run, of whatever project.
    :param node: the addresses of the one node whose containers these are.
    """
    ids = {container.id for container in leaving}
    staying = [container for container in running if container.id not in ids]
    found = list(found)
    matched = {i for match in matching.match(leaving, found).matches for i in match.instances}
    lists: dict[str, list[Instance]] = {"mine": [], "stale": [], "elsewhere": []}
    others: list[tuple[Container, Instance]] = []
    for instance in found:
        there = [container for container in staying if instance.address in matching.addresses(container)]
        if any(matching.names_container(instance, container) for container in leaving):
            lists["mine"].append(instance)
        elif there:
            others.append((there[0], instance))
        elif instance in matched:
            lists["mine"].append(instance)
        else:
            lists["stale" if instance.address.host in node else "elsewhere"].append(instance)
    return Entries(tuple(lists["mine"]), tuple(lists["stale"]), tuple(others), tuple(lists["elsewhere"]))


def refuse_shared(service: str, found: Entries, project: str) -> None:
    """Refuse to take a route away that others serve, too.

    :param found: the service's entries.
    :param project: that is undeployed.
    :raises UsageError: with who serves there.
    """
    serving = [(container, instance) for container, instance in found.others if matching.may_name(instance, container)]
    if serving:
        container, instance = serving[0]
        where = f" of project {container.project}" if container.project else ""
        hint = f"undeploy that one with -p {container.project}" if container.project else f"stop {container.name} first"
        if container.project == project:
            hint = f"--target {container.service} takes it along"
        raise UsageError(
            f"the registry leads users of {service} also to {container.name}{where} at {instance.address}", hint
        )
    passing = [instance for instance in found.elsewhere if matching.passes(instance)]
    if passing:
        raise UsageError(
            f"{service} has passing instances on no container of project {project} here: "
            f"{few(instance.address for instance in passing)}",
            "undeploy it on their engine first (DOCKER_HOST), or with --no-proxy here, which leaves the route",
        )

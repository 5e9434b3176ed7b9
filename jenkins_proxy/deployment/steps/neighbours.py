"""Who stands at an address of the registry: an entry of a container that runs is not stale, whoever's it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import BLUE_GREEN, Context, DeployOptions
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Container, Instance
from jenkins_proxy.orchestrator.base import COLORS
from jenkins_proxy.validation import few

_STOP = "stop what is not meant to serve it, or give it another SERVICE_NAME"


@dataclass(frozen=True)
class Neighbour:
    """A container of others that users would be led to.

    :ivar instance: the entry of our service at its address.
    """

    container: Container
    instance: Instance

    @property
    def named(self) -> bool:
        """Whether the entry is the container's own, and not one that is left of another at this address."""
        return matching.may_name(self.instance, self.container)

    def __str__(self) -> str:
        where = self.container.project and f" of project {self.container.project}"
        name = self.container.service and f", service {self.container.service}"
        text = f"{self.container.name}{where}{name} at {self.instance.address}"
        return text if self.named else f"{text}, by the entry {self.instance.id}, which is another container's"


def check(
    options: DeployOptions, context: Context, running: Sequence[Container], projects: Collection[str], target: str
) -> tuple[Container, ...]:
    """The containers of others that serve under the service's name, and that the deploy takes over.

    Those under the name of a color that serves, or shall, are none of them: users would meet them, and no deploy of
    ours replaces them.

    :param running: all containers that run.
    :param projects: ours.
    :raises UsageError: when there are such, and they are not to be taken over, or cannot be.
    """
    services = {target, f"{target}-standby"}

    def standing(name: str) -> list[Neighbour]:
        instances, _ = context.registry.instances(name)
        return find(instances, running, projects=projects, services=services)

    found = standing(options.service)
    by_color = {color: standing(f"{options.service}-{color}") for color in COLORS}
    serving = _colors(options, context) if any(by_color.values()) else ()
    colored = [neighbour for color in serving for neighbour in by_color[color]]
    if colored:
        raise UsageError(describe(options.service, [*colored, *found]), _STOP)
    taken = adopted(options.service, found, projects=projects, target=target, adopt=options.adopt)
    if taken and options.strategy == BLUE_GREEN:
        raise UsageError("--adopt replaces another project's containers, and blue-green a color's", "give one of them")
    return taken


def _colors(options: DeployOptions, context: Context) -> Collection[str]:
    """The colors whose instances users meet: another service may have such a name, and nothing to do with ours."""
    if options.strategy == BLUE_GREEN:
        return COLORS
    route = proxy_route.if_reachable(context, options.service) if options.route is not None else None
    return [route.color] if route is not None and route.color in COLORS else []


def find(
    instances: Iterable[Instance], running: Sequence[Container], *, projects: Collection[str], services: Collection[str]
) -> list[Neighbour]:
    """The entries at whose addresses only others' containers stand.

    :param instances: the entries of the service.
    :param running: all containers that run.
    :param projects: ours: the one that is deployed into, and those of its colors.
    :param services: in these projects: the target, and its standby.
    """
    mine = {c.id for c in running if c.project in projects and c.service in services}
    return beside(instances, running, mine=mine)


def beside(instances: Iterable[Instance], running: Sequence[Container], *, mine: Collection[str]) -> list[Neighbour]:
    """The same, where ours are known by their IDs."""
    found = []
    for instance in instances:
        there = [container for container in running if instance.address in matching.addresses(container)]
        if there and not any(container.id in mine for container in there):
            found.append(Neighbour(there[0], instance))
    return found


def describe(service: str, found: Sequence[Neighbour]) -> str:
    """The neighbours in one line, at most three of them."""
    return f"the registry leads users of {service} also to {few(found)}"


def adopted(
    service: str, found: Sequence[Neighbour], *, projects: Collection[str], target: str, adopt: bool
) -> tuple[Container, ...]:
    """The containers that the deploy takes over as the old ones.

    :param projects: ours.
    :param target: the compose service that is deployed.
    :param adopt: whether that is asked for.
    :raises UsageError: when it is not asked for, or not possible.
    """
    if not found:
        return ()
    theirs = sorted({neighbour.container.project for neighbour in found})
    text = describe(service, found)
    if not all(neighbour.named for neighbour in found):
        raise UsageError(text, "a registrator has missed an end: restart it, so that it takes its old entries out")
    if len(theirs) > 1 or not theirs[0]:
        raise UsageError(text, _STOP)
    if not adopt:
        # That project's own deploy would meet them again, unless they are its target's.
        same = theirs[0] not in projects and {neighbour.container.service for neighbour in found} == {target}
        instead = f"-p {theirs[0]} deploys into that project; " if same else ""
        raise UsageError(text, f"{instead}--adopt replaces them; or give them another SERVICE_NAME")
    return tuple({neighbour.container.id: neighbour.container for neighbour in found}.values())

"""Which registry entry belongs to which container. Pure: data in, data out.

Names and IDs do not distinguish an old container from a new one: a recreated container keeps its Registrator ID and
gets another host port (gliderlabs/registrator 6bfadbc, bridge/bridge.go `newService`: ``<hostname>:<container>:<port>``
with the *exposed* port). So an entry belongs to a container when its address:port is one of the container's published
bindings. Of several published ports those count that are registered under the service's name.

A binding on ``0.0.0.0`` or ``::`` can appear under any such address of its node, and Registrator's ``-ip`` can make
that one that the engine does not know of. An entry at such an address is taken if nothing else can be meant: its ID
names the container and the exposed port, its port is the published one, the host in the ID is the container's node
where there are several nodes, no other node is known by that address, and no second entry fits as well. A warning
says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jenkins_proxy.model import PASSING, Address, Binding, Container, Instance

_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 (compared with, never listened on)
_REGISTRATOR_ID = re.compile(r"(?P<host>.+):(?P<container>[a-zA-Z0-9][a-zA-Z0-9_.-]*):(?P<port>\d+)")


@dataclass(frozen=True)
class Match:
    """A container and the entries that stand for it.

    :ivar instances: at least one; more when several of its ports are registered under the service's name.
    :ivar unexpected: whether they are at an address that its node is not known by.
    """

    container: Container
    instances: tuple[Instance, ...]
    unexpected: bool = False

    @property
    def ready(self) -> bool:
        """Whether every check passes: the registry's and the container's own HEALTHCHECK."""
        return all(passes(i) for i in self.instances) and self.container.health in ("", "healthy")


@dataclass(frozen=True)
class Matching:
    """How containers and entries fit together.

    :ivar matches: the containers that have entries.
    :ivar missing: the containers that have none.
    :ivar stale: entries of these nodes or containers that belong to no container that runs.
    """

    matches: tuple[Match, ...]
    missing: tuple[Container, ...]
    stale: tuple[Instance, ...]

    @property
    def ready(self) -> tuple[Match, ...]:
        return tuple(match for match in self.matches if match.ready)

    @property
    def complete(self) -> bool:
        """Whether every container is registered and passes."""
        return not self.missing and len(self.ready) == len(self.matches)


def instance_addresses(found: Matching) -> list[Address]:
    """Where the registry shows the containers that were matched."""
    return [instance.address for match in found.matches for instance in match.instances]


def passes(instance: Instance) -> bool:
    """Whether the proxy may send requests to it: what Consul's own ``?passing`` lets through."""
    return instance.status == PASSING


def match(
    wanted: Sequence[Container], instances: Sequence[Instance], keep_running: Sequence[Container] = ()
) -> Matching:
    """Fit the registry's entries to containers.

    :param wanted: the containers that are waited for.
    :param instances: every entry of the service, in any state.
    :param keep_running: other containers that run and may keep their entries: the old ones of a rolling deploy.
    """
    everyone = [*wanted, *keep_running]
    expected = {
        c.id: tuple(i for i in instances if i.address in addresses(c) and not _names_other_container(i, c, everyone))
        for c in everyone
    }
    taken = {instance for found in expected.values() for instance in found}
    matches = []
    for container in everyone:
        if expected[container.id]:
            matches.append(Match(container, expected[container.id]))
            continue
        meant = tuple(i for i in instances if i not in taken and _must_be_meant(container, i, everyone))
        if len(meant) == 1:
            matches.append(Match(container, meant, unexpected=True))
    accounted = {instance for match in matches for instance in match.instances}
    waited_for = {container.id for container in wanted}
    mine = tuple(m for m in matches if m.container.id in waited_for)
    seen = {m.container.id for m in mine}
    return Matching(
        matches=mine,
        missing=tuple(c for c in wanted if c.id not in seen),
        stale=tuple(i for i in instances if i not in accounted and _is_ours(i, everyone)),
    )


def _names_other_container(instance: Instance, container: Container, everyone: Sequence[Container]) -> bool:
    """Whether the entry names another of these containers: an address alone can match by mistake."""
    named = [other.id for other in everyone if names_container(instance, other)]
    return bool(named) and container.id not in named


def published(container: Container) -> tuple[Binding, ...]:
    """Its bindings that a proxy for HTTP can reach."""
    return tuple(b for b in container.bindings if b.protocol == "tcp" and b.host_port)


def addresses(container: Container) -> tuple[Address, ...]:
    """Every address:port under which the registry is expected to show it.

    Docker listens for IPv4 and IPv6 apart, and may give them different ports: ``:::32769`` of one container and
    ``0.0.0.0:32769`` of another are two things.
    """
    found = []
    for binding in published(container):
        everywhere = [host for host in container.node_addresses if _same_family(binding.host_ip, host)]
        hosts = everywhere if binding.host_ip in _EVERY_ADDRESS else [binding.host_ip]
        found += [Address(host, binding.host_port) for host in hosts]
    return tuple(dict.fromkeys(found))


def _same_family(wildcard: str, host: str) -> bool:
    return not wildcard or (":" in wildcard) == (":" in host)


def names_container(instance: Instance, container: Container) -> bool:
    """Whether the entry's ID is the one that Registrator gives to this container's name."""
    parts = _REGISTRATOR_ID.fullmatch(instance.id)
    return parts is not None and parts["container"] == container.name


def may_name(instance: Instance, container: Container) -> bool:
    """Whether the entry can be this container's: its ID names it, or is not of the kind that names one."""
    return names_container(instance, container) or not _REGISTRATOR_ID.fullmatch(instance.id)


def _must_be_meant(container: Container, instance: Instance, everyone: Iterable[Container]) -> bool:
    parts = _REGISTRATOR_ID.fullmatch(instance.id)
    if not parts or parts["container"] != container.name:
        return False
    if container.node and parts["host"] != container.node:
        return False
    if any(instance.address.host in c.node_addresses for c in everyone if c.node != container.node):
        return False
    return any(
        (b.host_port, str(b.container_port)) == (instance.address.port, parts["port"]) for b in published(container)
    )


def _is_ours(instance: Instance, containers: Iterable[Container]) -> bool:
    """Whether an entry is one of these nodes or containers; one elsewhere may be another project's, or no container."""
    return any(instance.address.host in c.node_addresses or names_container(instance, c) for c in containers)

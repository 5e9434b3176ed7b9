"""Why a container that runs is not an instance, in words that name the next step. Pure; asked when time runs out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy.deployment import matching
from jenkins_proxy.model import Container, Instance
from jenkins_proxy.validation import few

_LINE = 300


@dataclass(frozen=True)
class Diagnosis:
    """A container that did not become an instance.

    :ivar reason: what was seen instead, in one line.
    :ivar hint: what to do about it.
    """

    container: Container
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.container.name}: {self.reason}"


def diagnose(
    service: str,
    found: matching.Matching,
    everything: Mapping[str, Sequence[Instance]],
    health: Mapping[str, str] | None = None,
) -> tuple[Diagnosis, ...]:
    """Say of each container that is not ready what is wrong with it.

    :param service: the name under which the registry should hold the containers.
    :param found: how containers and the service's entries fit together.
    :param everything: every entry of the registry by service name.
    :param health: what the last run of a container's HEALTHCHECK printed, by container ID.
    """
    printed = health or {}
    unready = [_unready(match, printed.get(match.container.id, "")) for match in found.matches if not match.ready]
    return (*unready, *(_absent(service, container, everything) for container in found.missing))


def hopeless(
    service: str, found: matching.Matching, everything: Mapping[str, Sequence[Instance]]
) -> tuple[Diagnosis, ...]:
    """The containers that no patience makes instances: at each of their ports there is an entry of another name.

    :param service: the name under which the registry should hold the containers.
    """
    others = [i for name, entries in everything.items() if name != service for i in entries]
    taken = {instance.address for instance in others}
    reasons = []
    for container in found.missing:
        ports = {binding.host_port for binding in matching.published(container)}
        expected = matching.addresses(container)
        entered = {address.port for address in expected if address in taken}
        reason = _renamed(service, container, others) if ports and ports == entered else None
        if container.running and reason:
            reasons.append(reason)
    return tuple(reasons)


def _unready(match: matching.Match, health: str) -> Diagnosis:
    container = match.container
    if container.health not in ("", "healthy"):
        # A registrator may turn the HEALTHCHECK into the registry's check: then this says the same, and more.
        return Diagnosis(
            container,
            f"its HEALTHCHECK says {container.health}: {_line(health) or 'it printed nothing'}",
            f"docker inspect {container.name} shows its last runs",
        )
    failing = next(i for i in match.instances if not matching.passes(i))
    output = _line(failing.output) or "the check has not run yet, or says nothing"
    return Diagnosis(
        container,
        f"{failing.status} at {failing.address}: {output}",
        "the check is the registry's: see SERVICE_CHECK_… in the compose file",
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:_LINE]


def _absent(service: str, container: Container, everything: Mapping[str, Sequence[Instance]]) -> Diagnosis:
    if not container.running:
        return Diagnosis(container, f"it is {container.state}", f"docker logs {container.name} shows why")
    if not matching.published(container):
        return Diagnosis(
            container,
            "it publishes no port, so nothing can reach it",
            'add `ports: ["8080"]`, with the port that it listens on, to its service in the compose file',
        )
    own = everything.get(service, ())
    others = [i for name, entries in everything.items() if name != service for i in entries]
    for reason in (
        _renamed(service, container, others),
        _internal(container, own),
        _predecessor(container, own),
        _elsewhere(container, own),
    ):
        if reason:
            return reason
    expected = few(matching.addresses(container))
    where = f" on {container.node}" if container.node else ""
    return Diagnosis(
        container,
        f"no entry at {expected or 'any known address'}",
        f"is a Registrator running{where}, and does it write into this registry?",
    )


def _renamed(service: str, container: Container, others: Iterable[Instance]) -> Diagnosis | None:
    expected = matching.addresses(container)
    names = {instance.service: instance for instance in others if instance.address in expected}
    if not names:
        return None
    name, entry = sorted(names.items())[0]
    port = next(b.container_port for b in matching.published(container) if b.host_port == entry.address.port)
    listed = few(f"{n} at {i.address}" for n, i in sorted(names.items()))
    if name == f"{service}-{port}":
        return Diagnosis(
            container,
            f"it publishes several ports, so Registrator renamed it: {listed}",
            f"set SERVICE_{port}_NAME={service} in the compose file",
        )
    base = image_name(container.image)
    if name in (base, f"{base}-{port}"):
        return Diagnosis(
            container,
            f"it is registered under the name of its image: {listed}",
            f"set SERVICE_{port}_NAME={service} in the compose file, or deploy the service {name}",
        )
    return Diagnosis(
        container,
        f"it is registered under another name: {listed}",
        # A name for this port wins over one for all, which would get the port's number where there are several.
        f"set SERVICE_{port}_NAME={service} in the compose file, or deploy the service {name}",
    )


def image_name(image: str) -> str:
    """The service name that Registrator takes from an image: ``vfarcic/books-ms:1.2`` gives ``books-ms``."""
    return image.rpartition("/")[2].partition(":")[0]


def _internal(container: Container, own: Iterable[Instance]) -> Diagnosis | None:
    published = matching.published(container)
    exposed = {binding.container_port for binding in published} - {binding.host_port for binding in published}
    for instance in own:
        if (
            matching.names_container(instance, container)
            and instance.address.port in exposed
            and instance.address.host not in container.node_addresses
        ):
            return Diagnosis(
                container,
                f"it is registered at {instance.address}, its address inside Docker's network, "
                "which nothing beyond its node reaches",
                "start Registrator without -internal, so that it enters the published port",
            )
    return None


def _predecessor(container: Container, own: Iterable[Instance]) -> Diagnosis | None:
    ports = {binding.host_port for binding in matching.published(container)}
    for instance in own:
        if matching.names_container(instance, container) and instance.address.port not in ports:
            now = few(sorted(ports))
            return Diagnosis(
                container,
                f"the registry still holds its predecessor at {instance.address} "
                f"under the same ID {instance.id}; the published port is {now}",
                "Registrator has missed that the container was made anew: restart Registrator",
            )
    return None


def _elsewhere(container: Container, own: Iterable[Instance]) -> Diagnosis | None:
    ports = {binding.host_port for binding in matching.published(container)}
    known = few(container.node_addresses) or "no address"
    for instance in own:
        if instance.address.port in ports:
            return Diagnosis(
                container,
                f"port {instance.address.port} is registered at {instance.address.host}, "
                f"an address other than expected ({known})",
                "give Registrator the node's address: -ip",
            )
    return None

"""Bring compose containers back as they were: from what the engine said of them, not from files that have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DeployFailed
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Snapshot
from jenkins_proxy.retry import Deadline


def snapshot(engine: Engine, service: str, containers: Sequence[Container]) -> Snapshot:
    """Remember the running ones of these containers."""
    running = [container for container in containers if container.running]
    definitions = [engine.inspect(container.id) for container in running]
    return Snapshot(service, tuple(running), tuple(definition for definition in definitions if definition))


def restore(
    engine: Engine, snapshot: Snapshot, present: Sequence[Container], console: Console, deadline: Deadline
) -> None:
    """Remove the service's newer containers, then start or make again those of the snapshot.

    :param present: the service's containers as they are now.
    :raises DeployFailed: when the deadline passes before all are back.
    """
    wanted = {definition["Id"] for definition in snapshot.definitions}
    # First the newer ones go: they may hold a name or a fixed host port that the old ones had.
    for container in present:
        if container.id not in wanted:
            console.step(f"removing {container.name}")
            engine.remove(container.id)
    kept = {container.id for container in present} & wanted
    for definition in snapshot.definitions:
        name = definition["Name"].rpartition("/")[2]
        if deadline.expired:
            raise DeployFailed(f"could not bring back {name} in time ({deadline})")
        if definition["Id"] in kept:
            engine.start(definition["Id"])
        else:
            console.step(f"bringing back {name} on {definition['Config']['Image']}")
            _make_again(engine, name, definition)


def _make_again(engine: Engine, name: str, definition: Mapping[str, Any]) -> None:
    image, reference = definition["Image"], definition["Config"]["Image"]
    # The name may mean a newer image by now, and Registrator derives the service's name from it: give it back.
    if engine.image_id(reference) != image:
        engine.tag(image, reference)
    body, more_networks = creation(definition)
    made = engine.create(name, body)
    for network, settings in more_networks.items():
        engine.connect(network, made, settings)
    engine.start(made)


def creation(definition: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to send to have a container like this one.

    :param definition: the answer of ``GET /containers/<id>/json``.
    :return: the body of ``POST /containers/create``, and the endpoint settings of the networks after the first, which
        engines before API 1.44 only take one by one.
    """
    short = definition["Id"][:12]
    config = dict(definition["Config"])
    if config.get("Hostname") == short:
        del config["Hostname"]
    host = dict(definition["HostConfig"])
    # `inspect` prints links as /db:/app/alias, `create` takes db:alias.
    host["Links"] = [f"{link.split(':')[0].strip('/')}:{link.rpartition('/')[2]}" for link in host.get("Links") or ()]
    host["Mounts"] = [mount for mount in host.get("Mounts") or () if not _anonymous(mount)]
    host["Binds"] = [*(host.get("Binds") or ()), *_anonymous_volumes(definition)]
    networks = {
        name: _endpoint(settings, short)
        for name, settings in (definition["NetworkSettings"].get("Networks") or {}).items()
    }
    first = host.get("NetworkMode") if host.get("NetworkMode") in networks else next(iter(networks), None)
    body = {**config, "HostConfig": host}
    if first in networks and first not in ("bridge", "host", "none"):
        body["NetworkingConfig"] = {"EndpointsConfig": {first: networks[first]}}
    return body, {name: settings for name, settings in networks.items() if name != first}


def _endpoint(settings: Mapping[str, Any], short_id: str) -> dict[str, Any]:
    return {
        # The engine adds the short ID of the new container by itself.
        "Aliases": [alias for alias in settings.get("Aliases") or () if alias != short_id],
        "Links": settings.get("Links"),
        "IPAMConfig": settings.get("IPAMConfig"),
    }


def _anonymous(mount: Mapping[str, Any]) -> bool:
    return mount["Type"] == "volume" and not mount.get("Source")


def _anonymous_volumes(definition: Mapping[str, Any]) -> list[str]:
    """The anonymous volumes, by the names the engine gave them: else the container would get empty ones."""
    host = definition["HostConfig"]
    named = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    named |= {mount["Target"] for mount in host.get("Mounts") or () if not _anonymous(mount)}
    return [
        f"{mount['Name']}:{mount['Destination']}"
        for mount in definition.get("Mounts") or ()
        if mount["Type"] == "volume" and mount["Destination"] not in named
    ]

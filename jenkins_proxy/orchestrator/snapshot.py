"""Bring compose containers back as they were: from what the engine said of them, not from files that have changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DeployFailed, DockerError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import Snapshot
from jenkins_proxy.orchestrator.volumes import anonymous, sources
from jenkins_proxy.retry import Deadline

_ENDED = ("created", "exited", "dead")


def snapshot(engine: Engine, service: str, containers: Sequence[Container]) -> Snapshot:
    """Remember these containers, whether they run or not."""
    definitions = [engine.inspect(container.id) for container in containers]
    return Snapshot(service, tuple(containers), tuple(definition for definition in definitions if definition))


def restore(
    engine: Engine,
    before: Sequence[Snapshot],
    present: Mapping[str, Sequence[Container]],
    console: Console,
    deadline: Deadline,
) -> None:
    """Remove the services' newer containers, then put back those of the snapshots, in the state that they had.

    :param before: what a service needs before the service.
    :param present: the services' containers as they are now.
    :raises DeployFailed: when the deadline passes before all are back.
    """
    wanted = {definition["Id"] for one in before for definition in one.definitions}
    # First the newer ones go: they may hold a name or a fixed host port that the old ones had.
    for one in reversed(before):
        for container in present.get(one.service, ()):
            if container.id not in wanted:
                console.step(f"removing {container.name}")
                engine.remove(container.id, volumes=True)
    states = {container.id: container.state for there in present.values() for container in there}
    for definition in (definition for one in before for definition in one.definitions):
        name = definition["Name"].rpartition("/")[2]
        if deadline.expired:
            raise DeployFailed(f"could not bring back {name} in time ({deadline})")
        if definition["Id"] in states:
            _put_back(engine, definition, states[definition["Id"]])
        else:
            console.step(f"bringing back {name} on {definition['Config']['Image']}")
            _make_again(engine, name, definition)


def _put_back(engine: Engine, definition: Mapping[str, Any], state: str) -> None:
    """Give a container that is still there the state back that it had."""
    ran = _ran(definition)
    if ran and state in _ENDED:
        engine.start(definition["Id"])
    elif not ran and state in ("running", "restarting"):
        engine.stop(definition["Id"])


def forget(engine: Engine, before: Sequence[Snapshot]) -> None:
    """Remove the volumes without a name of containers that are gone. The engine keeps one that is used somewhere."""
    for definition in (definition for one in before for definition in one.definitions):
        mounts = anonymous(definition)
        if mounts and engine.inspect(definition["Id"]) is None:
            for mount in mounts:
                with contextlib.suppress(DockerError):
                    engine.delete(f"/volumes/{mount['Name']}")


def _ran(definition: Mapping[str, Any]) -> bool:
    return definition["State"]["Status"] not in _ENDED


def _make_again(engine: Engine, name: str, definition: Mapping[str, Any]) -> None:
    image, reference = definition["Image"], definition["Config"]["Image"]
    # The name may mean a newer image by now, and Registrator derives the service's name from it: give it back.
    if engine.image_id(reference) != image:
        engine.tag(image, reference)
    body, more_networks = creation(definition)
    made = engine.create(name, body)
    for network, settings in more_networks.items():
        engine.connect(network, made, settings)
    if _ran(definition):
        engine.start(made)
    if definition["State"]["Status"] == "paused":
        engine.pause(made)


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
    told = sources(definition)
    return [
        f"{mount['Name']}:{mount['Destination']}" for mount in anonymous(definition) if mount["Destination"] not in told
    ]

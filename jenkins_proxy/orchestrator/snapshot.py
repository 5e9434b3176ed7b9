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
_SHARED = ("NetworkMode", "PidMode", "IpcMode")
_OF_CONTAINER = "container"


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
    made: dict[str, str] = {}
    for definition in owners_first([definition for one in before for definition in one.definitions]):
        name, old = definition["Name"].rpartition("/")[2], definition["Id"]
        if deadline.expired:
            raise DeployFailed(f"could not bring back {name} in time ({deadline})")
        lives_on = not owners(definition) & set(made)
        if old in states and lives_on:
            _put_back(engine, definition, states[old])
            continue
        console.step(f"bringing back {name} on {definition['Config']['Image']}")
        if old in states:
            # It lives in the network of one that was made again, and so in none.
            engine.remove(old)
        made[old] = _make_again(engine, name, definition, made)


def owners(definition: Mapping[str, Any]) -> set[str]:
    """The IDs of the containers whose network, processes or memory a container shares."""
    kinds = (str(definition["HostConfig"].get(key) or "").partition(":") for key in _SHARED)
    return {name for kind, _, name in kinds if kind == _OF_CONTAINER}


def owners_first(definitions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The same in an order in which each comes after those that it shares something of, otherwise as it is."""
    by_id = {definition["Id"]: definition for definition in definitions}
    ordered: dict[str, Mapping[str, Any]] = {}

    def add(definition: Mapping[str, Any]) -> None:
        for owner in sorted(owners(definition)):
            if owner in by_id and owner not in ordered:
                add(by_id[owner])
        ordered[definition["Id"]] = definition

    for definition in definitions:
        if definition["Id"] not in ordered:
            add(definition)
    return list(ordered.values())


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


def _make_again(engine: Engine, name: str, definition: Mapping[str, Any], instead: Mapping[str, str]) -> str:
    """Make a container like one that is gone.

    :param instead: the IDs of those that were made again, by the ID of the one that each is like.
    :return: its ID.
    """
    image, reference = definition["Image"], definition["Config"]["Image"]
    # The name may mean a newer image by now, and Registrator derives the service's name from it: give it back.
    if engine.image_id(reference) != image:
        engine.tag(image, reference)
    body, more_networks = creation(definition, instead)
    made = engine.create(name, body)
    for network, settings in more_networks.items():
        engine.connect(network, made, settings)
    if _ran(definition):
        engine.start(made)
    if definition["State"]["Status"] == "paused":
        engine.pause(made)
    return made


def creation(
    definition: Mapping[str, Any], instead: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to send to have a container like this one.

    :param definition: the answer of ``GET /containers/<id>/json``.
    :param instead: the IDs of containers by the ID of the one in whose place each is: what it shares is theirs.
    :return: the body of ``POST /containers/create``, and the endpoint settings of the networks after the first, which
        engines before API 1.44 only take one by one.
    """
    short = definition["Id"][:12]
    config = dict(definition["Config"])
    if config.get("Hostname") == short:
        del config["Hostname"]
    host = dict(definition["HostConfig"])
    for key in _SHARED:
        kind, _, owner = str(host.get(key) or "").partition(":")
        if kind == _OF_CONTAINER:
            host[key] = f"{kind}:{(instead or {}).get(owner, owner)}"
    if str(host.get("NetworkMode")).startswith(f"{_OF_CONTAINER}:"):
        # `inspect` prints what is the other one's; `create` refuses it.
        for key in ("Hostname", "Domainname", "ExposedPorts", "MacAddress"):
            config.pop(key, None)
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

"""What is there of that which a deploy needs: looked at before anything is touched, decided elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.project import External, Service


@dataclass(frozen=True)
class Survey:
    """What the engine has for some services.

    :ivar running: all containers that run there, of whatever project or of none.
    :ivar missing_images: those of the services that it does not have, without the ones that are built.
    :ivar missing: what compose or the stack does not make, and is not there.
    :ivar environment: of the target's image.
    :ivar newer_build: an image of the target that a plain ``docker compose build`` has made since ours was built.
    :ivar several_nodes: whether containers may run on more than one node.
    """

    running: tuple[Container, ...] = ()
    missing_images: tuple[str, ...] = ()
    missing: tuple[External, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    several_nodes: bool = False
    newer_build: str = ""


def of_stack(engine: Engine, services: Sequence[Service], target: Service) -> Survey:
    """Ask the manager of a cluster. Images and volumes are its nodes' own, which it does not know."""
    externals = dict.fromkeys(e for service in services for e in service.externals if e.kind != "volume")
    return Survey(
        running=tuple(containers.running(engine)),
        missing=tuple(external for external in externals if not _is_there(engine, external)),
        environment=image_environment(engine, target.image),
        several_nodes=True,
    )


def take(
    engine: Engine,
    services: Sequence[Service],
    target: Service,
    *,
    project: str,
    plain: str,
    several_nodes: bool,
) -> Survey:
    """Ask the engine of a compose project.

    :param services: that a deploy starts.
    :param plain: the project that compose takes where nobody gives it one.
    :param several_nodes: whether the engine is a cluster of them.
    """
    images = dict.fromkeys(service.image for service in services if service.image and not service.built)
    externals = dict.fromkeys(external for service in services for external in service.externals)
    return Survey(
        running=tuple(containers.running(engine)),
        missing_images=tuple(image for image in images if not engine.image_id(image)),
        # Compose, other than a stack, gets no secret of a cluster to its containers.
        missing=tuple(e for e in externals if (_of_cluster(e) and not e.file) or not _is_there(engine, e)),
        environment=image_environment(engine, target.image),
        several_nodes=several_nodes,
        newer_build=_newer_build(engine, target, project, plain) if target.built and not target.image else "",
    )


def _newer_build(engine: Engine, target: Service, project: str, plain: str) -> str:
    ours, theirs = (
        [(name, _built_at(engine, name)) for name in (f"{base}-{target.name}", f"{base}_{target.name}")]
        for base in (project, plain)
    )
    newest = max(at for _, at in ours)
    newer = [name for name, at in theirs if at > newest > 0]
    return newer[0] if newer and project != plain else ""


def _built_at(engine: Engine, image: str) -> float:
    """When an image got its name, in seconds since 1970; 0 where it is not there."""
    found = engine.find(f"/images/{quote(image)}/json")
    if not found:
        return 0.0
    # A build from the cache is as old as its content; its name is not.
    tagged = str((found.get("Metadata") or {}).get("LastTagTime") or "")
    times = [found["Created"], *([] if tagged.startswith("0001") or not tagged else [tagged])]
    return max(map(containers.timestamp, times))


def _of_cluster(external: External) -> bool:
    return external.kind in ("secret", "config")


def _is_there(engine: Engine, external: External) -> bool:
    if external.file:
        return os.path.isfile(external.file)
    return engine.find(f"/{external.kind}s/{quote(external.name)}") is not None


def image_environment(engine: Engine, image: str) -> dict[str, str]:
    """What an image's own environment and labels say, one over the other; nothing of one that is not there."""
    found = engine.find(f"/images/{quote(image)}/json") if image else None
    config = (found or {}).get("Config") or {}
    return {**variables(config.get("Env") or ()), **(config.get("Labels") or {})}


def variables(lines: Iterable[str]) -> dict[str, str]:
    """A mapping of lines ``NAME=value``."""
    return {name: value for name, _, value in (line.partition("=") for line in lines)}

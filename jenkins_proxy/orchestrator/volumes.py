"""Volumes without a name: what a container keeps in one is lost to the container that takes its place, unless compose
recreates it.

An image's ``VOLUME`` makes one, and an entry of ``volumes`` that names a path and nothing to put there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from jenkins_proxy.orchestrator.parse import lenders_of

_TMPFS = "tmpfs"


class Images(Protocol):
    """The images of an engine."""

    def image(self, reference: str) -> Mapping[str, Any] | None:
        """What ``inspect`` says of an image; None where it is not there."""


def unnamed(
    services: Mapping[str, Any], service: str, engine: Images, containers: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The paths at which a service's containers have a volume without a name.

    :param services: of the rendered configuration.
    :param engine: that may have the service's image.
    :param containers: what it says of the service's containers.
    :return: sorted; those of the files and the image, and those that a container has now.
    """
    data = services.get(service) or {}
    named, without = _declared(data)
    named |= _taken_over(services, data, {service})
    image = engine.image(data["image"]) if data.get("image") else None
    made = {_path(path) for path in ((image or {}).get("Config") or {}).get("Volumes") or {}}
    there = {_path(mount["Destination"]) for entry in containers for mount in anonymous(entry)}
    return tuple(sorted((without | made | there) - named))


def anonymous(definition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The mounts of a container that are volumes which nobody but the engine has named."""
    return [
        mount
        for mount in definition.get("Mounts") or ()
        if mount["Type"] == "volume"
        and (mount["Destination"] not in sources(definition) or is_generated(mount.get("Name", "")))
    ]


def sources(definition: Mapping[str, Any]) -> dict[str, str]:
    """What a container was told to mount, by path. For one that compose recreated, the old one's volumes are there."""
    host = definition["HostConfig"]
    binds = [bind.split(":") for bind in host.get("Binds") or () if ":" in bind]
    mounts = {
        m["Target"]: m.get("Source", "") for m in host.get("Mounts") or () if m["Type"] != "volume" or m.get("Source")
    }
    return {**{words[1]: words[0] for words in binds}, **mounts}


def is_generated(name: str) -> bool:
    """Whether a volume's name is one that the engine has made up: 64 hexadecimal digits."""
    return len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)


def _declared(data: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """The paths of a service that something is named for, and those with a volume without a name."""
    named = {_path(entry) for entry in _words(data.get(_TMPFS))}
    without: set[str] = set()
    for entry in data.get("volumes") or ():
        if isinstance(entry, Mapping):
            path, source = _path(entry["target"]), entry.get("source") or entry.get("type") == _TMPFS
        else:
            source, colon, rest = str(entry).partition(":")
            path, source = (_path(rest.partition(":")[0]), source) if colon else (_path(source), "")
        (named if source else without).add(path)
    for kind in ("secrets", "configs"):
        named |= {_path(e["target"]) for e in data.get(kind) or () if isinstance(e, Mapping) and e.get("target")}
    return named, without


def _taken_over(services: Mapping[str, Any], data: Mapping[str, Any], seen: set[str]) -> set[str]:
    """The paths that a service has from others, by ``volumes_from``: their content is not its own."""
    found: set[str] = set()
    for name in lenders_of(data):
        if name in services and name not in seen:
            other = services[name] or {}
            named, without = _declared(other)
            found |= named | without | _taken_over(services, other, {*seen, name})
    return found


def _words(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else list(value or ())
    return [str(entry).partition(":")[0] for entry in values]


def _path(path: str) -> str:
    return str(path).rstrip("/") or "/"

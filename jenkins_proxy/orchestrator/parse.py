"""Reads a compose project from its rendered configuration. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.project import ComposeProject, External, Port, Service, UpdateConfig


def parse(name: str, config: Any, profiles: Collection[str] | None = None) -> ComposeProject:
    """Read what ``config`` printed; takes the shapes of compose v1, v2 and ``docker stack config``.

    :param name: the project's name.
    :param config: the document as loaded from YAML.
    :param profiles: that are enabled; None means all.
    :raises UsageError: when it holds no service.
    """
    services = config.get("services") if isinstance(config, dict) else None
    if not services:
        raise UsageError(f"project {name}: the compose files define no service")
    read = {key: _service(key, value or {}, config) for key, value in services.items()}
    disabled = {
        key: service.profiles
        for key, service in read.items()
        if profiles is not None and service.profiles and not set(service.profiles) & set(profiles)
    }
    enabled = {key: service for key, service in read.items() if key not in disabled}
    sharing = {key: replace(service, sharers=_sharers(key, enabled)) for key, service in enabled.items()}
    return ComposeProject(name, sharing, disabled=disabled)


def _sharers(name: str, services: Mapping[str, Service]) -> tuple[str, ...]:
    direct = [key for key, service in services.items() if service.namespace == name and key != name]
    return tuple(dict.fromkeys([*direct, *(more for key in direct for more in _sharers(key, services))]))


def _service(name: str, data: Mapping[str, Any], config: Mapping[str, Any]) -> Service:
    deploy = data.get("deploy") or {}
    replicas = data.get("scale", deploy.get("replicas"))
    return Service(
        name=name,
        image=data.get("image") or "",
        built="build" in data,
        ports=tuple(_port(entry) for entry in data.get("ports") or ()),
        host_network=data.get("network_mode") == "host",
        container_name=data.get("container_name") or "",
        needs=frozenset(_needs(data)),
        replicas=None if replicas is None else int(replicas),
        labels={**_labels(data.get("labels")), **_labels(deploy.get("labels"))},
        environment=_labels(data.get("environment")),
        profiles=tuple(data.get("profiles") or ()),
        namespace=_namespace(data),
        externals=tuple(_externals(data, config)),
        conditions=_conditions(data.get("depends_on")),
        update=_update(deploy.get("update_config") or {}),
        start_period=_start_period(data.get("healthcheck") or {}),
    )


def _update(data: Mapping[str, Any]) -> UpdateConfig:
    parallelism = data.get("parallelism")
    return UpdateConfig(
        parallelism=None if parallelism is None else int(parallelism),
        delay=_seconds(data.get("delay")),
        order=data.get("order") or "",
        failure_action=data.get("failure_action") or "",
    )


def _start_period(healthcheck: Mapping[str, Any]) -> float:
    test = healthcheck.get("test")
    switched_off = healthcheck.get("disable") or test in ("NONE", ["NONE"])
    return 0.0 if switched_off else _seconds(healthcheck.get("start_period")) or 0.0


def _seconds(written: Any) -> float | None:
    """A duration, which compose writes as Go does; None for none."""
    try:
        return None if written is None else go_duration.parse(str(written))
    except ValueError:
        return None  # what is none, compose itself refuses


def _conditions(depends_on: Any) -> dict[str, str]:
    needs = depends_on if isinstance(depends_on, Mapping) else {}
    return {name: entry["condition"] for name, entry in needs.items() if (entry or {}).get("condition")}


def _namespace(data: Mapping[str, Any]) -> str:
    kind, _, name = str(data.get("network_mode") or "").partition(":")
    return name if kind == "service" else ""


def _externals(data: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[External]:
    used = {"network": networks_of(data), "volume": volumes_of(data)}
    for kind in ("secret", "config"):
        entries = data.get(f"{kind}s") or ()
        used[kind] = {entry.get("source", "") if isinstance(entry, Mapping) else str(entry) for entry in entries}
    for kind, names in used.items():
        for name in sorted(names):
            entry = (config.get(f"{kind}s") or {}).get(name) or {}
            external = entry.get("external")
            if external:
                called = entry.get("name") or (external.get("name") if isinstance(external, Mapping) else "")
                yield External(kind, called or name)
            elif entry.get("file"):
                yield External(kind, name, str(entry["file"]))


def networks_of(service: Mapping[str, Any]) -> set[str]:
    """The networks of a service, as the files name them."""
    if service.get("network_mode"):
        return set()
    return set(service.get("networks") or ("default",))


def volumes_of(service: Mapping[str, Any]) -> set[str]:
    """The named volumes of a service, as the files name them."""
    found = set()
    for volume in service.get("volumes") or ():
        if isinstance(volume, Mapping):
            source = volume.get("source") if volume.get("type") == "volume" else None
        else:
            source = volume.partition(":")[0] if ":" in volume else None
        if source and not source.startswith(("/", ".", "~")):
            found.add(source)
    return found


def lenders_of(service: Mapping[str, Any]) -> list[str]:
    """The services whose volumes a service takes over, by ``volumes_from``.

    Compose v2 prints ``db`` or ``db:ro``, v1 of most formats ``service:db:ro``; a container is of no service.
    """
    found = []
    for source in service.get("volumes_from") or ():
        first, _, rest = str(source).partition(":")
        if first == "service" and rest not in ("", "ro", "rw"):
            found.append(rest.partition(":")[0])
        elif first != "container":
            found.append(first)
    return found


def _labels(data: Any) -> dict[str, str]:
    """Labels in either of their forms: a mapping, or a list of ``name=value``."""
    if isinstance(data, list):
        return {name: value for name, _, value in (str(item).partition("=") for item in data)}
    return {str(name): "" if value is None else str(value) for name, value in (data or {}).items()}


def _port(entry: Any) -> Port:
    if isinstance(entry, dict):
        host, container, mode = str(entry.get("published") or ""), entry["target"], entry.get("mode", "")
        protocol = entry.get("protocol") or "tcp"
    else:
        # "8080", "80:8080", "127.0.0.1:80:8080", "[::1]:80:8080/udp"
        written, _, protocol = str(entry).partition("/")
        words = written.rsplit(":", 2)
        host, container, mode = (words[-2] if len(words) > 1 else ""), words[-1], ""
    first, _, last = host.partition("-")
    if last and first != last:
        return Port(int(container), "", mode, protocol or "tcp", (int(first), int(last)))
    return Port(int(container), first, mode, protocol or "tcp")


def _needs(data: Mapping[str, Any]) -> set[str]:
    needed = set(data.get("depends_on") or ())
    needed.update(link.split(":")[0] for link in data.get("links") or ())
    needed.update(lenders_of(data))
    for namespace in ("network_mode", "ipc", "pid"):
        kind, _, name = str(data.get(namespace) or "").partition(":")
        if kind == "service":
            needed.add(name)
    return needed

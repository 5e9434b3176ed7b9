"""Containers of the engine: ``inspect`` JSON as :class:`Container`, for engines, classic Swarm and tasks."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.clients.docker import host_addresses
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.model import Binding, Container

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
_ONE_OFF = "com.docker.compose.oneoff"
_STACK, _STACK_SERVICE = "com.docker.stack.namespace", "com.docker.swarm.service.name"


def of_project(engine: Engine, project: str, service: str = "") -> list[Container]:
    """The containers of a compose project, or of one of its services, in every state, by service and number.

    Those of ``compose run`` are not among them: they are nobody's instances.
    """
    labels = {PROJECT: project, _ONE_OFF: "False"}
    if service:
        labels[SERVICE] = service
    inspected = [entry for entry in map(engine.inspect, engine.containers(labels)) if entry]
    if not inspected:
        return []
    own = host_addresses.of_engine(engine.endpoint, engine.info())
    return sorted((parse(entry, own) for entry in inspected), key=_order)


def labels_of_running(engine: Engine) -> list[Mapping[str, str]]:
    """The labels of the containers of compose projects that run, without those of ``compose run``."""
    filters = json.dumps({"label": [PROJECT, f"{_ONE_OFF}=False"], "status": ["running", "restarting", "paused"]})
    listed = engine.get("/containers/json", params={"filters": filters})
    return [entry["Labels"] for entry in listed]


def running(engine: Engine) -> list[Container]:
    """All containers that run on an engine, of whatever project or of none, by what its list says of them.

    What only an inspection tells, as health, is left out. Of a stack's tasks the stack is the project.
    """
    listed = engine.get("/containers/json")
    own = host_addresses.of_engine(engine.endpoint, engine.info()) if listed else ()
    found = []
    for entry in listed:
        inspected = engine.inspect(entry["Id"]) if entry.get("HostConfig", {}).get("NetworkMode") == "host" else None
        bindings = _bindings(inspected) if inspected else _listed_bindings(entry)
        found.append(_of_list(entry, bindings, own))
    return found


def _of_list(entry: Mapping[str, Any], bindings: tuple[Binding, ...], own: tuple[str, ...]) -> Container:
    labels = entry.get("Labels") or {}
    stack = labels.get(_STACK, "")
    service = labels.get(SERVICE) or labels.get(_STACK_SERVICE, "").removeprefix(f"{stack}_")
    return Container(
        id=entry["Id"],
        name=next(iter(entry.get("Names") or ["?"])).rpartition("/")[2],
        service=f"{service} (compose run)" if labels.get(_ONE_OFF) == "True" else service,
        project=labels.get(PROJECT) or stack,
        image=entry["Image"],
        state=entry["State"],
        bindings=bindings,
        node_addresses=own,
        created=float(entry["Created"]),
        labels=labels,
    )


def _listed_bindings(entry: Mapping[str, Any]) -> tuple[Binding, ...]:
    ports = [port for port in entry.get("Ports") or () if port.get("PublicPort")]
    return tuple(
        sorted({Binding(p.get("IP", ""), p["PublicPort"], p["PrivatePort"], p.get("Type", "tcp")) for p in ports})
    )


def parse(inspect: Mapping[str, Any], engine_addresses: tuple[str, ...] = ()) -> Container:
    """One container.

    :param inspect: the answer of ``GET /containers/<id>/json``.
    :param engine_addresses: of the engine that answered; with classic Swarm the answer names a node of its own.
    """
    state, config = inspect["State"], inspect["Config"]
    labels = config.get("Labels") or {}
    node = inspect.get("Node") or {}
    return Container(
        id=inspect["Id"],
        # Classic Swarm puts the node before the name: /swarm-node-2/booksms_app_1.
        name=inspect["Name"].rpartition("/")[2],
        service=labels.get(SERVICE, ""),
        project=labels.get(PROJECT, ""),
        image=config["Image"],
        state=state["Status"],
        health=_health(state),
        exit_code=state.get("ExitCode", 0),
        bindings=_bindings(inspect),
        node=node.get("Name", ""),
        node_addresses=_node_addresses(node) if node else engine_addresses,
        created=timestamp(inspect["Created"]),
        restarts=inspect.get("RestartCount", 0),
        image_id=inspect["Image"],
        labels=labels,
    )


def says_name(config: Mapping[str, Any], name: str) -> bool:
    """Whether a container says by ``SERVICE_NAME``, or that of a port, that this is its name in the registry.

    Without such a word Registrator takes the image's name. Of several ports each one's number may follow.

    :param config: its ``Config``, or a Swarm service's ``ContainerSpec``.
    """
    variables = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    said = {**variables, **(config.get("Labels") or {})}
    names = {value for key, value in said.items() if re.fullmatch(r"SERVICE_(\d+_)?NAME", key)}
    names = names or {str(config.get("Image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]}
    return any(re.fullmatch(re.escape(one) + r"(-\d+)?", name) for one in names - {""})


def publishes(inspect: Mapping[str, Any]) -> bool:
    """Whether a container, running or not, is to publish a port: only what does gets an entry."""
    host = inspect["HostConfig"]
    return bool(host.get("PortBindings") or host.get("PublishAllPorts") or host.get("NetworkMode") == "host")


def health_output(inspect: Mapping[str, Any]) -> str:
    """What the last run of its HEALTHCHECK printed; empty without one."""
    log = (inspect["State"].get("Health") or {}).get("Log") or [{}]
    return str(log[-1].get("Output", "")).strip()


def timestamp(text: str) -> float:
    """Seconds since 1970 of ``2026-11-22T10:02:41.123456789Z``."""
    # It leaves out what is less than a microsecond.
    return datetime.datetime.fromisoformat(text).timestamp()


def _order(container: Container) -> tuple[str, int, float]:
    return container.service, int(container.labels.get(NUMBER, 0)), container.created


def _health(state: Mapping[str, Any]) -> str:
    status = (state.get("Health") or {}).get("Status", "")
    return "" if status == "none" else status


def _bindings(inspect: Mapping[str, Any]) -> tuple[Binding, ...]:
    published = dict(inspect["NetworkSettings"].get("Ports") or {})
    if inspect["HostConfig"].get("NetworkMode") == "host":
        # On the host's network a port is its own binding; the engine reports none.
        published = {
            f"{number}/{protocol}": [{"HostIp": "", "HostPort": str(number)}]
            for number, protocol in exposed_ports(inspect["Config"])
        }
    bindings: list[Binding] = []
    for port, hosts in published.items():
        number, _, protocol = port.partition("/")
        bindings += [
            Binding(host["HostIp"], int(host["HostPort"]), int(number), protocol or "tcp")
            for host in hosts or []
            if host.get("HostPort")
        ]
    return tuple(sorted(set(bindings)))


def exposed_ports(config: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The ports that a container exposes, each with its protocol, by number.

    Compose v2 writes ``expose:`` as it stands in the file: ``5432`` is ``5432/tcp``, and ``3000-3002`` are three.

    :param config: the ``Config`` of what ``inspect`` says.
    """
    found = set()
    for written in config.get("ExposedPorts") or {}:
        numbers, _, protocol = written.partition("/")
        first, _, last = numbers.partition("-")
        found |= {(number, protocol or "tcp") for number in range(int(first), int(last or first) + 1)}
    return sorted(found)


def _node_addresses(node: Mapping[str, Any]) -> tuple[str, ...]:
    host = node.get("Addr", "").rpartition(":")[0]
    return tuple(sorted({node.get("IP", ""), host} - {""} | host_addresses.of_host(node.get("Name", ""))))

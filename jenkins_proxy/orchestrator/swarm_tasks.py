"""The tasks of a Swarm-mode stack as containers, and what they say of an update. Thin reading, pure judging."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.docker import containers, host_addresses
from jenkins_proxy.clients.docker.containers import timestamp
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.model import Binding, Container

NAMESPACE = "com.docker.stack.namespace"
TASK = "com.docker.swarm.task.id"
_MAX_FAILED_TASKS = 3
# Source: ErrContainerUnhealthy in moby daemon/cluster/executor/container/errors.go.
_UNHEALTHY = "unhealthy container"

# Swarm's 14 states in the words of a container's. Source: api.TaskState in moby/swarmkit api/types.proto.
_STATES = {
    "running": "running",
    "starting": "running",
    "complete": "exited",
    "shutdown": "exited",
    "failed": "exited",
    "rejected": "dead",
    "orphaned": "dead",
    "remove": "exited",
}


_ENDED = {state for state, word in _STATES.items() if word in ("exited", "dead")}


def tasks_of(engine: Engine, project: str, service: str = "") -> list[Mapping[str, Any]]:
    """The tasks of a stack, or of one of its services, ended ones included as long as Swarm keeps them.

    Those that Swarm has given up with their node are ``orphaned``, as it calls them itself a day later.
    """
    filters = {"service": [f"{project}_{service}"]} if service else {"label": [f"{NAMESPACE}={project}"]}
    if service and engine.find(f"/services/{project}_{service}") is None:
        return []  # the filter by an unknown service is an error
    tasks: list[Mapping[str, Any]] = engine.get("/tasks", params={"filters": json.dumps(filters)})
    return without_lost(tasks, engine.get("/nodes")) if any(map(_is_ending, tasks)) else tasks


def without_lost(tasks: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tasks, with those ``orphaned`` that are to end on a node that is down: nobody is there to say that they did.

    :param nodes: ``GET /nodes``.
    """
    down = {node["ID"] for node in nodes if (node.get("Status") or {}).get("State") == "down"}
    return [
        {**task, "Status": {**task["Status"], "State": "orphaned"}}
        if _is_ending(task) and task.get("NodeID") in down
        else task
        for task in tasks
    ]


def kept(tasks: Sequence[Mapping[str, Any]]) -> set[str]:
    """The IDs of the tasks, but for those that went with their node: Swarm removes these a day later."""
    return {task["ID"] for task in tasks if task["Status"]["State"] != "orphaned"}


def _is_ending(task: Mapping[str, Any]) -> bool:
    return task["DesiredState"] in ("shutdown", "remove") and task["Status"]["State"] not in _ENDED


def of_stack(engine: Engine, project: str, service: str = "") -> list[Container]:
    """The containers of a stack, on all nodes, by service and slot."""
    found = tasks_of(engine, project, service)
    if not found:
        return []
    names = {entry["ID"]: entry["Spec"]["Name"] for entry in engine.get("/services")}
    nodes = {entry["ID"]: entry for entry in engine.get("/nodes")}
    parsed = [
        parse(task, names.get(task["ServiceID"], ""), project, nodes.get(task.get("NodeID", ""), {})) for task in found
    ]
    return sorted(parsed, key=lambda container: (container.service, container.name, container.created))


def parse(task: Mapping[str, Any], full_name: str, project: str, node: Mapping[str, Any]) -> Container:
    """One task.

    :param task: an entry of ``GET /tasks``.
    :param full_name: its service's name: ``<stack>_<service>``.
    :param node: the entry of ``GET /nodes`` that it runs on; empty while it has none.
    """
    spec, status = task["Spec"]["ContainerSpec"], task["Status"]
    ran = status.get("ContainerStatus") or {}
    slot = task.get("Slot") or task.get("NodeID", "")
    return Container(
        id=ran.get("ContainerID") or task["ID"],
        name=f"{full_name}.{slot}.{task['ID']}",
        service=full_name[len(project) + 1 :],
        project=project,
        # `docker stack deploy` can pin a digest behind the name, which no person wrote.
        image=spec["Image"].partition("@")[0],
        state=_STATES.get(status["State"], "created"),
        health=_health(spec, status["State"]),
        exit_code=ran.get("ExitCode") or 0,
        bindings=tuple(sorted(_bindings((status.get("PortStatus") or {}).get("Ports") or ()))),
        node=(node.get("Description") or {}).get("Hostname", ""),
        node_addresses=_node_addresses(node),
        created=timestamp(task["CreatedAt"]),
        labels={**(spec.get("Labels") or {}), TASK: task["ID"]},
    )


def _bindings(ports: Sequence[Mapping[str, Any]]) -> Iterator[Binding]:
    """The bindings of a task's ports.

    A port is listed twice without an address: first as it is published for IPv4, then, maybe another, for IPv6.

    That is the order in which the engine binds them (libnetwork, drivers/bridge/port_mapping.go), and Swarm keeps it.
    """
    seen = set()
    for port in ports:
        if port.get("PublishMode") == "host" and port.get("PublishedPort"):
            inside = port["TargetPort"], port["Protocol"]
            yield Binding("::" if inside in seen else "0.0.0.0", port["PublishedPort"], *inside)  # noqa: S104 - compared
            seen.add(inside)


def says_name(spec: Mapping[str, Any], name: str) -> bool:
    """Whether a service's containers say that this is their name in the registry.

    :param spec: of ``GET /services``.
    """
    publishes = bool((spec.get("EndpointSpec") or {}).get("Ports"))
    return publishes and containers.says_name(spec["TaskTemplate"]["ContainerSpec"], name)


def mounted(spec: Mapping[str, Any]) -> list[str]:
    """The names of the volumes that a service's containers use."""
    mounts = spec["TaskTemplate"]["ContainerSpec"].get("Mounts") or ()
    return [mount.get("Source", "") for mount in mounts if mount.get("Type") == "volume"]


def settled(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether exactly the tasks run that the service's present definition asks for.

    :param service: ``GET /services/<id>``.
    :param tasks: all of its tasks.
    """
    if (service.get("UpdateStatus") or {}).get("State", "completed") in ("updating", "rollback_started"):
        return False
    wanted = [task for task in tasks if task["DesiredState"] == "running"]
    replicas = (service["Spec"]["Mode"].get("Replicated") or {}).get("Replicas")
    enough = len(wanted) == replicas if replicas is not None else bool(wanted)
    ended = all(_STATES.get(task["Status"]["State"]) in ("exited", "dead") for task in tasks if task not in wanted)
    present = all(_same(task, service) and task["Status"]["State"] == "running" for task in wanted)
    return enough and ended and present


def failure(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> str:
    """Why the present definition does not come up; empty while it may.

    Swarm itself would try for ever: a definition whose tasks failed three times is given up here. One of them that was
    found unhealthy is enough: the check has had its own retries.
    """
    update = service.get("UpdateStatus") or {}
    given_up = update.get("State") in ("paused", "rollback_paused", "rollback_completed")
    failed = [
        task["Status"]
        for task in tasks
        if task["Status"]["State"] in ("failed", "rejected") and service and _same(task, service)
    ]
    unhealthy = [status for status in failed if _UNHEALTHY in status.get("Err", "")]
    if not given_up and not unhealthy and len(failed) < _MAX_FAILED_TASKS:
        return ""
    messages = [status.get("Err") or status.get("Message", "") for status in unhealthy or failed]
    messages = messages or [update.get("Message", "")]
    return str(messages[0] or update.get("State", ""))


def _same(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether a task was made from the service's present definition."""
    made, wanted = task["Spec"], service["Spec"]["TaskTemplate"]
    same_container: bool = made["ContainerSpec"] == wanted["ContainerSpec"]
    return same_container and made.get("ForceUpdate", 0) == wanted.get("ForceUpdate", 0)


def _health(spec: Mapping[str, Any], state: str) -> str:
    if not (spec.get("Healthcheck") or {}).get("Test"):
        return ""
    # Swarm calls a task running only once its check passes.
    return {"running": "healthy", "starting": "starting"}.get(state, "")


def _node_addresses(node: Mapping[str, Any]) -> tuple[str, ...]:
    reported = {
        (node.get("Status") or {}).get("Addr", ""),
        (node.get("ManagerStatus") or {}).get("Addr", "").rpartition(":")[0],
    }
    named = host_addresses.of_host((node.get("Description") or {}).get("Hostname", ""))
    return tuple(sorted((reported | named) - {"", "0.0.0.0"}))  # noqa: S104 - it is filtered out, not listened on

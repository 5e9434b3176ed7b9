"""Stacks on a Swarm-mode cluster by ``docker stack`` and the engine's services and tasks."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import DeployFailed, UsageError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator import runner, stack_config, swarm_tasks, volumes
from jenkins_proxy.orchestrator import survey as surveys
from jenkins_proxy.orchestrator.base import Place, Snapshot, SwarmOrchestrator
from jenkins_proxy.orchestrator.belongings import KINDS, Belongings, WithBelongings
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.project import ComposeProject, Service
from jenkins_proxy.orchestrator.runner import Runner
from jenkins_proxy.orchestrator.survey import Survey
from jenkins_proxy.retry import Deadline, retry

_NEW_FIRST = "start-first"
_STANDBY = "-standby"


class _NotYet(Exception):
    """The cluster still works on it."""


class Stack(WithBelongings, SwarmOrchestrator):
    """A stack; the methods are described in :mod:`jenkins_proxy.orchestrator.base`.

    Its services must publish their port in host mode: an ingress port is the same on every node and says nothing of
    which task answers.
    """

    def __init__(self, runner: Runner, *, reader: Runner, engine: Engine, project: str, files: Sequence[str]) -> None:
        """A stack that is deployed by a program.

        :param reader: runs what reads the stack's files: see :func:`stack_config.rendered`.
        """
        self.name, self.version, self.project = runner.program.name, runner.program.version, project
        self._runner, self._reader, self._engine, self._files = runner, reader, engine, tuple(files)
        self._config: dict[str, Any] = {}
        self._resolve = "never"

    @property
    def place(self) -> Place:
        return Place.of(self.project, self._engine.info(), self._engine.url)

    def validate(self) -> ComposeProject:
        if not self._config:
            self._config = stack_config.rendered(self._reader, self.project, self._files)
        project = parse(self.project, self._config)
        services = {name: _host_mode(service) for name, service in project.services.items()}
        return replace(project, services=services, example="ports: [{target: 8080, mode: host}]")

    def pull(self, services: Sequence[str] = (), *, deadline: Deadline) -> None:
        # Each node pulls for itself; what can be asked for is that the tag is looked up again, at the next `up`.
        self._resolve = "always"

    def build(self, services: Sequence[str], *, deadline: Deadline) -> None:
        raise UsageError("a stack builds no images: its nodes pull them", "docker compose build, and push")

    def survey(self, target: str, *others: str) -> Survey:
        known = self.validate().services
        return surveys.of_stack(self._engine, list(known.values()), known[target])

    def running_anywhere(self) -> list[Container]:
        return containers.running(self._engine)

    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        self.validate()
        counts = {**{name: count for name in services if (count := self._replicas(name))}, **(scale or {})}
        document = deployed(self._config, counts)
        known = document["services"]
        # What a document leaves out stays as it is.
        document["services"] = {name: known[name] for name in services} or known
        self._deploy(document, document["services"], deadline)

    def start_needs(self, services: Sequence[str], *, done: Collection[str] = (), deadline: Deadline) -> None:
        # A Swarm knows no order and no one-shots: what is there goes on by itself.
        absent = [name for name in self.validate().needs(services) if self._service(name) is None]
        if absent:
            self.up(absent, deadline=deadline)

    def start_standby(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        self.validate()
        name = service + _STANDBY
        document = deployed(self._config, {service: count})
        document["services"] = {name: document["services"][service]}
        self._deploy(document, document["services"], deadline)
        return self._running(service + _STANDBY)

    def clone_standby(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        self.remove_standby(service, deadline=deadline)
        spec = copy.deepcopy(self._present(service)["Spec"])
        spec["Name"] += _STANDBY
        if "Replicated" in spec["Mode"]:
            spec["Mode"]["Replicated"]["Replicas"] = count
        self._engine.post("/services/create", body=spec)
        self._wait_until_settled(service + _STANDBY, deadline)
        return self._running(service + _STANDBY)

    def standby(self, service: str) -> list[Container]:
        return self.containers(service + _STANDBY)

    def remove_standby(self, service: str, *, deadline: Deadline) -> None:
        self._delete(service + _STANDBY, deadline)

    def _delete(self, name: str, deadline: Deadline) -> None:
        """Remove a service, and wait until its tasks have ended; one that is not there is fine."""
        present = self._service(name)
        if present:
            ending = {task["ID"] for task in swarm_tasks.tasks_of(self._engine, self.project, name)}
            self._engine.delete(f"/services/{present['ID']}")
            self._wait(
                lambda: not ending & swarm_tasks.kept(swarm_tasks.tasks_of(self._engine, self.project)),
                deadline,
                f"the tasks of {name} to end",
            )

    def scale(self, service: str, count: int, *, deadline: Deadline) -> None:
        definition = self._present(service)
        spec = copy.deepcopy(definition["Spec"])
        if "Replicated" not in spec["Mode"]:
            raise UsageError(f"service {service} of stack {self.project} runs once a node (mode: global)")
        spec["Mode"]["Replicated"]["Replicas"] = count
        self._update(definition, spec)
        self._wait_until_settled(service, deadline)

    def containers(self, service: str = "") -> list[Container]:
        return swarm_tasks.of_stack(self._engine, self.project, service)

    def current_containers(self, service: str, *, before: Collection[str]) -> list[Container]:
        # A Swarm keeps the containers of ended tasks for a while.
        return [c for c in self.containers(service) if c.running or c.id not in before]

    def logs(self, container: Container, lines: int = 50) -> list[str]:
        return self._engine.logs(f"/tasks/{container.labels[swarm_tasks.TASK]}", lines)

    def health_output(self, container: Container) -> str:
        # Only the engine that runs the container knows it.
        found = self._engine.inspect(container.id)
        return containers.health_output(found) if found else ""

    def snapshot(self, service: str) -> Snapshot:
        definition = self._service(service)
        return Snapshot(service, tuple(self._running(service)), (definition,) if definition else ())

    def restore(self, before: Sequence[Snapshot], *, deadline: Deadline) -> list[Container]:
        for snapshot in reversed(before):
            if not snapshot.definitions:
                self._delete(snapshot.service, deadline)
        for snapshot in before:
            for definition in snapshot.definitions:
                self._put_back(snapshot.service, definition, deadline)
        return [container for snapshot in before for container in self._running(snapshot.service)]

    def _put_back(self, service: str, definition: Mapping[str, Any], deadline: Deadline) -> None:
        present = self._service(service)
        if not present:
            self._engine.post("/services/create", body=definition["Spec"])
        elif present["Spec"] != definition["Spec"]:
            self._update(present, definition["Spec"])
        else:
            return
        self._wait_until_settled(service, deadline)

    def unnamed_volumes(self, service: str) -> tuple[str, ...]:
        self.validate()
        return volumes.unnamed(self._config["services"], service, self._engine, [])

    @property
    def _belongings(self) -> Belongings:
        timing = self._runner.timing
        place = (self._engine, swarm_tasks.NAMESPACE, self.project)
        return Belongings(*place, kinds=KINDS, seconds=timing.networks, pause=timing.poll_min)

    def present_services(self) -> frozenset[str]:
        return frozenset(self._specs())

    def named_services(self, name: str) -> frozenset[str]:
        return frozenset(service for service, spec in self._specs().items() if swarm_tasks.says_name(spec, name))

    def _specs(self) -> dict[str, Mapping[str, Any]]:
        """What each service of the stack is made from, by its name in the files."""
        filters = json.dumps({"label": [f"{swarm_tasks.NAMESPACE}={self.project}"]})
        found = self._engine.get("/services", params={"filters": filters})
        return {entry["Spec"]["Name"].removeprefix(f"{self.project}_"): entry["Spec"] for entry in found}

    def volumes(self, services: Collection[str] | None = None, *, more: Sequence[Container] = ()) -> tuple[str, ...]:
        if services is None:
            return self._belongings.volumes()
        specs = [spec for name, spec in self._specs().items() if name in services]
        return self._belongings.volumes({source for spec in specs for source in swarm_tasks.mounted(spec)})

    def node_addresses(self) -> tuple[str, ...]:
        return ()

    def _deploy(self, document: Mapping[str, Any], services: Iterable[str], deadline: Deadline) -> None:
        words = ["deploy", "--resolve-image", self._resolve, "--with-registry-auth", "-c", "-", self.project]
        self._runner.run(
            words, f"deploy of stack {self.project}", deadline, explain=self._explain, stdin=json.dumps(document)
        )
        for name in services:
            self._wait_until_settled(name, deadline)

    def _explain(self) -> str:
        self._engine.version()
        return ""

    def _running(self, service: str) -> list[Container]:
        return [container for container in self.containers(service) if container.running]

    def _service(self, service: str) -> Mapping[str, Any] | None:
        return self._engine.find(f"/services/{self.project}_{service}")

    def _present(self, service: str) -> Mapping[str, Any]:
        definition = self._service(service)
        if definition is None:
            raise DeployFailed(f"stack {self.project} has no service {service}", "deploy it first")
        return definition

    def _replicas(self, service: str) -> int:
        """How many tasks a service is to have now; 0 where it is not there, or runs once a node."""
        mode = (self._service(service) or {"Spec": {"Mode": {}}})["Spec"]["Mode"]
        return int((mode.get("Replicated") or {}).get("Replicas") or 0)

    def _update(self, definition: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        version = str(definition["Version"]["Index"])
        self._engine.post(f"/services/{definition['ID']}/update", params={"version": version}, body=spec)

    def _wait_until_settled(self, service: str, deadline: Deadline) -> None:
        """Wait until the tasks that run are those of the service's present definition, and as many as it says."""

        def settled() -> bool:
            definition = self._service(service)
            mine = swarm_tasks.tasks_of(self._engine, self.project, service)
            failure = swarm_tasks.failure(definition or {}, mine)
            if failure:
                raise DeployFailed(
                    f"service {service} of stack {self.project} does not come up: {failure}", runner.hint(failure)
                )
            return definition is not None and swarm_tasks.settled(definition, mine)

        self._wait(settled, deadline, f"the tasks of {service}")

    def _wait(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        def attempt() -> None:
            if not done():
                raise _NotYet

        timing = self._runner.timing
        try:
            # Swarm has no blocking query for this, and its events do not show an update's progress.
            retry(attempt, deadline, (_NotYet,), min_pause=timing.poll_min, max_pause=timing.poll_max)
        except _NotYet:
            raise DeployFailed(f"waited in vain for {what} ({deadline})", f"docker stack ps {self.project}") from None


def deployed(config: Mapping[str, Any], scale: Mapping[str, int]) -> dict[str, Any]:
    """The document to deploy: the rendered configuration with counts, and new tasks started before old ones end.

    A service that says how it is updated keeps its ``order``; one with a fixed host port can only end its old task
    first.

    ``docker stack deploy`` reads it like any compose file: it takes ``$`` for a variable once more, and looks for files
    from where we run. Source: ``Load`` in docker/cli ``cli/compose/loader/loader.go``, which ``config`` prints from.
    """
    document: dict[str, Any] = _verbatim(config)
    project = parse("", document)
    for name, data in document["services"].items():
        # What is in these files stands in `environment` by now; the other paths are absolute.
        data.pop("env_file", None)
        deploy = data.setdefault("deploy", {})
        if name in scale:
            deploy["replicas"] = scale[name]
        if not project.services[name].obstacle:
            deploy.setdefault("update_config", {}).setdefault("order", _NEW_FIRST)
    return document


def _verbatim(value: Any) -> Any:
    """A copy of data in which ``$`` is doubled in values, not in keys: compose files put variables in otherwise."""
    if isinstance(value, Mapping):
        return {key: _verbatim(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_verbatim(entry) for entry in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _host_mode(service: Service) -> Service:
    return replace(service, ports=tuple(port for port in service.ports if port.mode == "host"))

"""Compose projects by ``docker compose`` (v2) and ``docker-compose`` (v1), which take the same arguments here.

How compose behaves was tried on 1.29.2 and 2.26.1, and tests/orchestrator/compose/test_compose.py holds it:

* A plain ``up -d`` gives every service the count of its file, else 1, whatever runs; the highest numbers go first.
* ``up -d --no-recreate --scale app=N app`` leaves the old containers alone and starts the missing ones from the
  files' present state, with the next free numbers. Once the old ones are removed, a plain ``up -d`` finds the
  new ones up to date and changes nothing: gaps in the numbers are kept, the configuration's hash is the same.
* How the services that it needs are left alone stands in :mod:`jenkins_proxy.orchestrator.compose.calls`.
* A container that ended counts as one of the N, and is started again as it was, but for ``--no-start``.
* v2 recreates every container that v1 made, and v1 every one of v2: hashes and names differ.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.docker import containers, host_addresses
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator import snapshot as snapshots
from jenkins_proxy.orchestrator import survey as surveys
from jenkins_proxy.orchestrator import volumes
from jenkins_proxy.orchestrator.base import COMPOSE_V1, COMPOSE_V2, Place, Snapshot, SurgeOrchestrator, color_project
from jenkins_proxy.orchestrator.belongings import Belongings, WithBelongings
from jenkins_proxy.orchestrator.compose import calls, color_overlay, conditions, project_files
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.project import ComposeProject
from jenkins_proxy.orchestrator.runner import Runner, file_arguments
from jenkins_proxy.orchestrator.survey import Survey
from jenkins_proxy.retry import Deadline

_HASH = "com.docker.compose.config-hash"


class Compose(WithBelongings, SurgeOrchestrator):
    """A compose project; the methods are described in :mod:`jenkins_proxy.orchestrator.base`."""

    def __init__(
        self,
        runner: Runner,
        *,
        engine: Engine,
        project: str,
        files: Sequence[str],
        profiles: Sequence[str] = (),
        targets: Sequence[str] = (),
        several_nodes: bool = False,
    ) -> None:
        """A project that is run by one version of compose.

        :param profiles: that are enabled, beside those of the targets.
        :param targets: the services that are asked for by name.
        :param several_nodes: whether the engine is a classic Swarm manager.
        """
        self.name, self.version, self.project = runner.program.name, runner.program.version, project
        self._runner, self._engine, self._files = runner, engine, tuple(files)
        self._profiles, self._asked_for, self._several_nodes = tuple(profiles), tuple(targets), several_nodes
        self._config: Mapping[str, Any] = {}
        self._document = ""

    @property
    def place(self) -> Place:
        return Place.of(self.project, self._engine.info(), self._engine.url)

    def validate(self) -> ComposeProject:
        if not self._config:
            self._config = self._runner.config(self._words("config"), self._files, stdin=self._document)
            self._enable()
        return parse(self.project, self._config, self._profiles)

    def _enable(self) -> None:
        """Enable the profiles of the services that are asked for, as ``docker compose up app`` does."""
        known = self._config.get("services") or {}
        if (
            self.name == COMPOSE_V2
            and not self._document
            and (not known or not all(name in known for name in self._asked_for))
        ):
            # v2 prints only what is enabled, v1 all.
            every = self._runner.config(self._words("config", profiles=("*",)), self._files)
            known = every.get("services") or {}
            self._config = every
        more = [profile for name in self._asked_for for profile in (known.get(name) or {}).get("profiles") or ()]
        self._profiles = tuple(dict.fromkeys([*self._profiles, *more]))

    def pull(self, services: Sequence[str] = (), *, deadline: Deadline) -> None:
        known = self.validate().services
        # Compose fails on pulling what is built here and nowhere else.
        pulled = [name for name in services or known if known[name].image and not known[name].built]
        if pulled:
            self._run(["pull", *pulled], pulled, deadline)

    def build(self, services: Sequence[str], *, deadline: Deadline) -> None:
        known = self.validate().services
        built = [name for name in services if known[name].built]
        if built:
            self._run(["build", *built], built, deadline)

    def survey(self, target: str, *others: str) -> Survey:
        known = self.validate().services
        services = [known[name] for name in self.validate().closure(target, *others)]
        environment = project_files.variables(self._files, self._runner.environment, os.getcwd())
        paths = project_files.located(self._files, environment, os.getcwd())
        return surveys.take(
            self._engine,
            services,
            known[target],
            project=self.project,
            plain=project_files.plain(paths, environment),
            several_nodes=self._several_nodes,
        )

    def running_anywhere(self) -> list[Container]:
        return containers.running(self._engine)

    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        if services:
            self._alone(services, scale or {}, deadline, recreate=True)
        else:
            self._run(["up", "-d", *calls.scaled(scale or {})], [], deadline)

    def start_needs(self, services: Sequence[str], *, done: Collection[str] = (), deadline: Deadline) -> None:
        project = self.validate()
        one_shots = project.one_shots(services)
        for container in self.containers():
            if container.service in {*one_shots} - {*services, *done} and not _runs(container):
                # It would be started as it was, and not with what the files say now.
                self.remove(container)
        idle = calls.idle(self._present(project.needs(services)), one_shots, done)
        if idle:
            self._alone(idle, {}, deadline, recreate=False)
        conditions.wait(self, services, deadline, self._runner.timing, done=done)

    def surge(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        old = self.containers(service)
        ended = [container for container in old if not _runs(container)]
        # Compose would start what has ended again in the place of new ones.
        new = self._alone([service], {service: len(old) + count}, deadline, recreate=False, start=not ended)
        return [container for container in self.containers(service) if container.id in new]

    def scale(self, service: str, count: int, *, deadline: Deadline) -> None:
        self._alone([service], {service: count}, deadline, recreate=False)

    def _alone(
        self,
        services: Sequence[str],
        scale: Mapping[str, int],
        deadline: Deadline,
        *,
        recreate: bool,
        start: bool = True,
    ) -> set[str]:
        """One ``up`` that touches these services only; returns the IDs of the containers that it made."""
        before = self._present(services)
        needs = self._present(self.validate().needs(services))
        counts = {**{name: len(there) for name, there in before.items() if there}, **scale}
        changed = self._changed(needs) if recreate else set()
        call = calls.alone(self.name, services, needs, counts, recreate=recreate, changed=changed, start=start)
        self._run(call.words, [*services, *needs], deadline)
        known = {container.id for there in before.values() for container in there}
        after = [container for there in self._present(services).values() for container in there]
        if not call.starts:
            for container in after:
                if not _runs(container) and (start or container.id not in known):
                    self._engine.start(container.id)
        return {container.id for container in after} - known

    def _present(self, services: Sequence[str]) -> dict[str, list[Container]]:
        """The containers of services, in every state."""
        present: dict[str, list[Container]] = {name: [] for name in services}
        for container in self.containers() if present else ():
            present.get(container.service, []).append(container)
        return present

    def _changed(self, needs: Mapping[str, Sequence[Container]]) -> set[str]:
        """The services that compose would recreate: their files, or what their image's name means, have changed."""
        if self.name == COMPOSE_V1 or not needs:
            return set()  # v1 needs no such care
        hashes = self._runner.lines(self._words("config", "--hash", "*"), stdin=self._document)
        now = dict(line.split() for line in hashes if len(line.split()) == 2)
        return {
            name
            for name, there in needs.items()
            for container in there
            if container.labels.get(_HASH) != now.get(name)
            or container.image_id != self._engine.image_id(container.image)
        }

    def containers(self, service: str = "") -> list[Container]:
        return containers.of_project(self._engine, self.project, service)

    def current_containers(self, service: str, *, before: Collection[str]) -> list[Container]:
        # Compose leaves none that it does not mean to run.
        return self.containers(service)

    def for_color(self, target: str, *, service: str, color: str) -> Compose:
        self.validate()
        sides = {container.service: container.name for container in self.containers()}
        colored = copy.copy(self)
        colored.project = color_project(self.project, color)
        colored._config = {}
        colored._document = json.dumps(
            color_overlay.document(
                self._config, target, service=service, color=color, project=self.project, sides=sides
            )
        )
        return colored

    def stop(self, container: Container) -> None:
        self._engine.stop(container.id)

    def remove(self, container: Container, *, volumes: bool = False) -> None:
        self._engine.remove(container.id, volumes=volumes)

    def logs(self, container: Container, lines: int = 50) -> list[str]:
        return self._engine.logs(f"/containers/{container.id}", lines)

    def health_output(self, container: Container) -> str:
        found = self._engine.inspect(container.id)
        return containers.health_output(found) if found else ""

    def snapshot(self, service: str) -> Snapshot:
        return snapshots.snapshot(self._engine, service, self.containers(service))

    def restore(self, before: Sequence[Snapshot], *, deadline: Deadline) -> list[Container]:
        present = self._present([snapshot.service for snapshot in before])
        snapshots.restore(self._engine, before, present, self._runner.console, deadline)
        present = self._present(list(present))
        return [container for there in present.values() for container in there if container.running]

    def forget(self, before: Sequence[Snapshot]) -> None:
        snapshots.forget(self._engine, before)

    def unnamed_volumes(self, service: str) -> tuple[str, ...]:
        self.validate()
        inspected = [self._engine.inspect(container.id) for container in self.containers(service)]
        return volumes.unnamed(self._config["services"], service, self._engine, [entry for entry in inspected if entry])

    @property
    def _belongings(self) -> Belongings:
        timing = self._runner.timing
        return Belongings(
            self._engine, containers.PROJECT, self.project, seconds=timing.networks, pause=timing.poll_min
        )

    def present_services(self) -> frozenset[str]:
        return frozenset(container.service for container in self.containers())

    def named_services(self, name: str) -> frozenset[str]:
        inspected = ((c.service, self._engine.inspect(c.id)) for c in self.containers())
        there = [(service, entry) for service, entry in inspected if entry and containers.publishes(entry)]
        return frozenset(service for service, entry in there if containers.says_name(entry["Config"], name))

    def volumes(self, services: Collection[str] | None = None, *, more: Sequence[Container] = ()) -> tuple[str, ...]:
        if services is None:
            return self._belongings.volumes()
        users = [*(c for c in self.containers() if c.service in services), *more]
        inspected = [self._engine.inspect(container.id) or {} for container in users]
        used = {mount.get("Name", "") for entry in inspected for mount in entry.get("Mounts") or ()}
        return tuple(sorted({*self._belongings.volumes(used), *filter(volumes.is_generated, used)}))

    def node_addresses(self) -> tuple[str, ...]:
        return () if self._several_nodes else host_addresses.of_engine(self._engine.endpoint, self._engine.info())

    def _words(self, *words: str, profiles: Sequence[str] | None = None) -> list[str]:
        # A generated document goes in by stdin: a file would have to stay for as long as compose may want it.
        files = ["-f", "-"] if self._document else file_arguments(self._files, "-f")
        enabled = [word for name in profiles or self._profiles for word in ("--profile", name)]
        return ["-p", self.project, *files, *enabled, *words]

    def _run(self, words: Sequence[str], services: Sequence[str], deadline: Deadline) -> None:
        self._runner.run(
            self._words(*words),
            f"{words[0]} of project {self.project}",
            deadline,
            explain=lambda: self._explain(services),
            stdin=self._document,
        )

    def _explain(self, services: Sequence[str]) -> str:
        # With the engine gone, compose's own text is the lesser half of the story.
        self._engine.version()
        # v1 only says that the image registry does not answer, which helps nobody who never meant to pull.
        known = self.validate().services
        images = [known[name].image for name in services or known if known[name].image and not known[name].built]
        missing = [image for image in images if not self._engine.image_id(image)]
        return f"image {missing[0]} is not on the engine, and cannot be pulled: " if missing else ""


def _runs(container: Container) -> bool:
    return container.state in calls.RUNS

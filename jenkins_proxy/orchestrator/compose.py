"""Compose projects by ``docker compose`` (v2) and ``docker-compose`` (v1), which take the same arguments here.

How compose behaves was tried on 1.29.2 and 2.26.1, and tests/orchestrator/test_compose.py holds it:

* A plain ``up -d`` gives every service the count of its file, else 1, whatever runs; the highest numbers go first.
* ``up -d --no-recreate --scale app=N app`` leaves the old containers alone and starts the missing ones from the
  files' present state, with the next free numbers. Once the old ones are removed, a plain ``up -d`` finds the
  new ones up to date and changes nothing: gaps in the numbers are kept, the configuration's hash is the same.
* ``--no-deps`` must not be used for that: v2 takes ``depends_on`` out of the configuration before it hashes it, and
  the next plain ``up -d`` would recreate what was just started.
* A container that ended counts as one of the N, and is started again as it was instead of being replaced.
* v2 recreates every container that v1 made, and v1 every one of v2: hashes and names differ.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator import color_overlay
from jenkins_proxy.orchestrator import snapshot as snapshots
from jenkins_proxy.orchestrator.base import Snapshot, SurgeOrchestrator, Up
from jenkins_proxy.orchestrator.compose_project import ComposeProject, file_arguments, parse
from jenkins_proxy.orchestrator.runner import Runner
from jenkins_proxy.retry import Deadline


class Compose(SurgeOrchestrator):
    """A compose project; the methods are described in :mod:`jenkins_proxy.orchestrator.base`."""

    def __init__(self, runner: Runner, *, engine: Engine, project: str, files: Sequence[str]) -> None:
        self.name, self.version, self.project = runner.program.name, runner.program.version, project
        self._runner, self._engine, self._files = runner, engine, tuple(files)
        self._config: Mapping[str, Any] = {}
        self._document = ""

    def validate(self) -> ComposeProject:
        if not self._config:
            self._config = self._runner.config(self._words("config"), self._files, stdin=self._document)
        return parse(self.project, self._config)

    def pull(self, services: Sequence[str] = (), *, deadline: Deadline) -> None:
        known = self.validate().services
        # Compose fails on pulling what is built here and nowhere else.
        pulled = [name for name in services or known if known[name].image and not known[name].built]
        if pulled:
            self._run(["pull", *pulled], deadline)

    def up(self, services: Sequence[str] = (), *, scale: Mapping[str, int] | None = None, deadline: Deadline) -> None:
        self._run(["up", "-d", *_scaled(scale or {}), *services], deadline)

    def up_in_order(self, target: str, count: int) -> list[Up]:
        # Side services first, then the target, then what needs it. Without a count compose gives the target what its
        # file says, whatever ran.
        project, scale = self.validate(), {target: count}
        calls = [Up(project.before(target)), Up([target], scale), Up(project.after(target), scale)]
        return [call for call in calls if call.services]

    def surge(self, service: str, count: int, *, deadline: Deadline) -> list[Container]:
        old = self.containers(service)
        for container in old:
            # It would be started again in the place of a new one.
            if container.state in ("created", "exited", "dead"):
                self.remove(container)
        kept = {container.id for container in self.containers(service)}
        self.scale(service, len(kept) + count, deadline=deadline)
        return [container for container in self.containers(service) if container.id not in kept]

    def scale(self, service: str, count: int, *, deadline: Deadline) -> None:
        self._run(["up", "-d", "--no-recreate", *_scaled({service: count}), service], deadline)

    def containers(self, service: str = "") -> list[Container]:
        return containers.of_project(self._engine, self.project, service)

    def current_containers(self, service: str, *, before: Collection[str]) -> list[Container]:
        # Compose leaves none that it does not mean to run.
        return self.containers(service)

    def for_color(self, target: str, *, service: str, color: str) -> Compose:
        self.validate()
        sides = {container.service: container.name for container in self.containers()}
        colored = copy.copy(self)
        colored.project = f"{self.project}-{color}"
        colored._config = {}
        colored._document = json.dumps(
            color_overlay.document(
                self._config, target, service=service, color=color, project=self.project, sides=sides
            )
        )
        return colored

    def stop(self, container: Container) -> None:
        self._engine.stop(container.id)

    def remove(self, container: Container) -> None:
        self._engine.remove(container.id)

    def logs(self, container: Container, lines: int = 50) -> list[str]:
        return self._engine.logs(f"/containers/{container.id}", lines)

    def health_output(self, container: Container) -> str:
        found = self._engine.inspect(container.id)
        return containers.health_output(found) if found else ""

    def snapshot(self, service: str) -> Snapshot:
        return snapshots.snapshot(self._engine, service, self.containers(service))

    def restore(self, snapshot: Snapshot, *, deadline: Deadline) -> list[Container]:
        snapshots.restore(self._engine, snapshot, self.containers(snapshot.service), self._runner.console, deadline)
        return [container for container in self.containers(snapshot.service) if container.running]

    def _words(self, *words: str) -> list[str]:
        # A generated document goes in by stdin: a file would have to stay for as long as compose may want it.
        files = ["-f", "-"] if self._document else file_arguments(self._files, "-f")
        return ["-p", self.project, *files, *words]

    def _run(self, words: Sequence[str], deadline: Deadline) -> None:
        self._runner.run(
            self._words(*words),
            f"{words[0]} of project {self.project}",
            deadline,
            explain=self._explain,
            stdin=self._document,
        )

    def _explain(self) -> str:
        # With the engine gone, compose's own text is the lesser half of the story.
        self._engine.version()
        # v1 only says that the image registry does not answer, which helps nobody who never meant to pull.
        images = [service.image for service in self.validate().services.values() if service.image and not service.built]
        missing = [image for image in images if not self._engine.image_id(image)]
        return f"image {missing[0]} is not on the engine, and cannot be pulled: " if missing else ""


def _scaled(scale: Mapping[str, int]) -> list[str]:
    return [word for service, count in scale.items() for word in ("--scale", f"{service}={count}")]

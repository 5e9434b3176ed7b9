"""Compose files of the shapes that public projects have, deployed twice beside neighbours that have users."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from dataclasses import dataclass

import pytest

from jenkins_proxy.model import Route
from tests.system.deployment.corpus.shapes import BY_NAME, CORPUS, Shape, variables

IN_EVERY_RUN = ("migrations", "volumes")
DEPLOYED = (
    *IN_EVERY_RUN,
    "base",
    "container-names",
    "networks",
    "scale",
    "unnamed-volume",
    "volumes-from",
    "vpn",
    "web-db-cache-worker",
)
# Ten take a minute and a half of a run's time: `bash tests/run corpus` asks for all.
CHOSEN = DEPLOYED if os.environ.get("TESTS_CORPUS") == "all" else IN_EVERY_RUN


@dataclass(frozen=True)
class Shop:
    """A project of the corpus that runs, with users of one of its neighbours."""

    shape: Shape
    project: object
    back: object

    def files(self) -> list[str]:
        return [word for file in self.shape.files for word in ("-f", str(self.project.folder / file))]

    def environ(self, version: int) -> dict[str, str]:
        return {**self.project.machine.environment, **variables(self.project.image, self.project.name, version)}

    def up(self, version: int) -> None:
        """What people type."""
        words = [self.project.docker, "compose", "-p", self.project.name, *self.files(), "up", "-d"]
        subprocess.run(words, env=self.environ(version), check=True, capture_output=True, text=True)

    def deploy(self, version: int):
        words = ["-p", self.project.name, "--orchestrator", "compose-v2", "--target", self.shape.asked_for]
        argv = self.project.argv("deploy", *self.project.route, *self.files(), *words, compose=False)
        done = subprocess.run(argv, env=self.environ(version), capture_output=True, text=True, timeout=200, check=False)
        return self.project.ended(done.returncode, done.stderr)

    def containers(self, *, but: tuple[str, ...] = ()) -> dict[str, tuple]:
        """All containers of the project, with when they started and where they keep their data."""
        found = self._ask("container", "ps", "-aq")
        services = {one["Id"]: one["Config"]["Labels"]["com.docker.compose.service"] for one in found}
        return {
            one["Id"]: (
                services[one["Id"]],
                one["State"]["StartedAt"],
                sorted((mount["Destination"], mount.get("Name", mount["Source"])) for mount in one["Mounts"]),
            )
            for one in found
            if services[one["Id"]] not in but
        }

    def volumes(self) -> dict[str, str]:
        return {one["Name"]: one["CreatedAt"] for one in self._ask("volume", "volume", "ls", "-q")}

    def _ask(self, kind: str, *listing: str) -> list[dict]:
        mine = ["--filter", f"label=com.docker.compose.project={self.project.name}"]
        names = self._docker(*listing, *mine).split()
        return json.loads(self._docker(kind, "inspect", *names)) if names else []

    def _docker(self, *words: str) -> str:
        return subprocess.run([self.project.docker, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def shop(project, docker, request):
    """A project of the shape that the parameter names: people have brought it up, and ``back`` has users."""
    shape = BY_NAME[request.param]
    shutil.copytree(CORPUS, project.folder, dirs_exist_ok=True)
    back = dataclasses.replace(project, name=f"{project.name}-back")
    made = Shop(shape, project, back)
    made.up(1)
    project.machine.client.put_route(Route(back.name, paths=(f"/{back.name}",)))
    yield made
    project.machine.client.remove_route(back.name)
    named = list(made.volumes())
    project.remove()
    if named:
        subprocess.run([docker, "volume", "rm", *named], check=True, capture_output=True)


@pytest.mark.parametrize("shop", CHOSEN, indirect=True)
def test_deployed_twice_beside_neighbours(shop):
    shape, project = shop.shape, shop.project
    touched = (shape.target, shape.asked_for, *shape.once)
    neighbours, named = shop.containers(but=touched), shop.volumes()

    with shop.back.users() as failed:
        first = shop.deploy(2)
        answers = [project.get()]
        second = shop.deploy(1)
        answers.append(project.get())

    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert [first.report["strategy"], second.report["strategy"]] == [shape.strategy] * 2
    assert answers == [(200, "version 2\n"), (200, "version 1\n")]
    assert failed == []
    assert shop.containers(but=touched) == neighbours
    assert shop.volumes() == named

    before = shop.containers(but=shape.once)
    shop.up(1)

    assert shop.containers(but=shape.once) == before

"""A tiny image that serves HTTP, and compose projects made of it that are gone after their test."""

from __future__ import annotations

import shutil
import subprocess
import uuid

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.orchestrator import probing
from jenkins_proxy.orchestrator.engine import Engine
from jenkins_proxy.waiting import Deadline

DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
ARG VERSION
ENV VERSION=$VERSION
EXPOSE 8080
CMD ["/bin/sh", "-c", "/bin/busybox echo serving $VERSION; exec /bin/busybox httpd -f -p 8080"]
"""


@pytest.fixture(scope="session")
def build_image(docker, program, tmp_path_factory):
    """``build_image(name, version)`` builds the image on the engine of the session, or on ``host``."""
    folder = tmp_path_factory.mktemp("image")
    shutil.copy(program("busybox"), folder / "busybox")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    built = []

    def build(name: str, version: str, host: str = "unix:///var/run/docker.sock") -> str:
        subprocess.run(
            [docker, "-H", host, "build", "-q", "--build-arg", f"VERSION={version}", "-t", name, str(folder)],
            env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            check=True,
            capture_output=True,
        )
        built.append((host, name))
        return name

    yield build
    for host, name in built:
        subprocess.run([docker, "-H", host, "rmi", "-f", name], capture_output=True, check=False)


@pytest.fixture(scope="session")
def image(build_image):
    """``image(1)`` and ``image(2)`` are two versions of one service's image."""
    # A name of this run's own: another run would take its images away under it.
    run = uuid.uuid4().hex[:8]
    names = {version: build_image(f"f1-{run}-ms:{version}", str(version)) for version in (1, 2)}
    return names.__getitem__


@pytest.fixture
def resolved():
    """The settings of an empty environment."""
    return settings.resolve({})


@pytest.fixture
def engine(resolved, docker):
    with_engine = Engine.from_settings(resolved)
    yield with_engine
    with_engine.close()


@pytest.fixture
def deadline():
    return Deadline(90)


@pytest.fixture
def project_name(docker):
    """A compose project's name that nothing else has; what there is of it goes with the test."""
    name = f"f1-{uuid.uuid4().hex[:8]}"
    yield name
    label = f"label=com.docker.compose.project={name}"
    for kind, remove in (("ps -aq", "rm -fv"), ("network ls -q", "network rm"), ("volume ls -q", "volume rm")):
        listed = subprocess.run([docker, *kind.split(), "--filter", label], capture_output=True, text=True, check=True)
        if listed.stdout:
            subprocess.run([docker, *remove.split(), *listed.stdout.split()], capture_output=True, check=True)


@pytest.fixture(params=["compose-v1", "compose-v2"])
def flavour(request) -> str:
    return request.param


@pytest.fixture
def compose(flavour, resolved, project_name, tmp_path, image):
    """``compose(text)`` is the orchestrator of a compose file, run by each flavour; ``{1}`` and ``{2}`` are images."""

    def make(text: str, *, console: Console | None = None):
        file = tmp_path / "docker-compose.yml"
        file.write_text(text.replace("{1}", image(1)).replace("{2}", image(2)))
        made, _ = probing.choose(
            resolved, console or Console(), project=project_name, files=[str(file)], wanted=flavour
        )
        return made

    return make

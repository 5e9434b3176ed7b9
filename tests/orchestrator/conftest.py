"""A tiny image that serves HTTP, and compose projects made of it that are gone after their test."""

from __future__ import annotations

import subprocess
import uuid

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.retry import Deadline


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

    def make(text: str, *, console: Console | None = None, **more):
        file = tmp_path / "docker-compose.yml"
        file.write_text(text.replace("{1}", image(1)).replace("{2}", image(2)))
        words = {"project": project_name, "files": [str(file)], "wanted": flavour, **more}
        made, _ = detect.choose(resolved, console or Console(), **words)
        return made

    return make

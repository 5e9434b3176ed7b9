"""An agent on which a build runs the constant script, and what it can be given to install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from jenkins_proxy import __version__
from tests.fixtures.shared import once

SCRIPT = Path(__file__).resolve().parents[3] / "resources/jenkins_proxy/jenkins/step.sh"
WAYS = (
    f"; jenkins-proxy {__version__} reaches agent swarm-node-1 in one of three ways: installed there "
    f"(pip install jenkins-proxy=={__version__}); in a container (image: with jenkins-proxy {__version__} in it); "
    "from pipSpec: (with Python 3.11 or newer and its venv module)\n"
)


@dataclass(frozen=True)
class Answer:
    """What the script said: lines for the step on stdout, text for people on stderr."""

    stdout: str
    stderr: str

    @property
    def console(self) -> list[str]:
        """What a reader sees, without the shell's own trace of its first line."""
        first, *lines = self.stderr.splitlines()
        assert first == "+ set +x"
        return lines

    @property
    def ran(self) -> bool:
        """Whether jenkins-proxy ran, and its reason came back: it misses the service that it was not given."""
        return self.stdout == "exit=2\nreason=the following arguments are required: SERVICE\n"

    @property
    def refused(self) -> str:
        """Why there was no way to the agent; the answer names the three that there are."""
        code, reason = self.stdout.split("\n", 1)
        assert code == "exit=2"
        assert reason.startswith("reason=") and reason.endswith(WAYS)
        return reason[len("reason=") : -len(WAYS)]


class Agent:
    """A machine on which a build runs, with a ``python3`` of its own before the system's programs on its PATH."""

    def __init__(self, workspace: Path, cache: Path) -> None:
        self.workspace, self.cache = workspace, cache
        self.programs = cache.parent / "bin"
        self.programs.mkdir(exist_ok=True)
        self.path = f"{self.programs}:/usr/bin:/bin"

    def python(self, script: str) -> None:
        """Lets ``python3`` be this shell script."""
        self.program("python3", script)

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def start(self, shell: str = "dash", **environment: str) -> subprocess.Popen:
        given = {
            "PATH": self.path,
            "HOME": str(self.workspace.parent),
            "NODE_NAME": "swarm-node-1",
            "JENKINS_PROXY_VERSION": __version__,
            "JENKINS_PROXY_COMMAND": "remove",
            "JENKINS_PROXY_PARAMS": "{}",
            "JENKINS_PROXY_CACHE": str(self.cache),
            "PIP_NO_INDEX": "1",
            **environment,
        }
        # As Jenkins' durable-task does it.
        return subprocess.Popen(
            [shell, "-xe", str(SCRIPT)],
            cwd=self.workspace,
            env=given,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, shell: str = "dash", **environment: str) -> Answer:
        process = self.start(shell, **environment)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        return Answer(stdout, stderr)


@pytest.fixture(scope="session")
def bare_venv(tmp_path_factory) -> Path:
    """What ``python3 -m venv`` makes; it takes seconds, so it is made once and copied where it is not the point."""

    def make(folder: Path) -> None:
        subprocess.run([sys._base_executable, "-m", "venv", str(folder / "venv")], check=True)

    return once(tmp_path_factory, "bare-venv", make) / "venv"


@pytest.fixture(scope="session")
def filled(wheels: Path, tmp_path_factory) -> Path:
    """A cache that a build has filled with the real thing."""

    def make(folder: Path) -> None:
        workspace = folder / "workspace"
        workspace.mkdir()
        agent = Agent(workspace, folder / "cache")
        agent.python(f'exec "{sys._base_executable}" -s "$@"')
        assert agent.run(JENKINS_PROXY_PIP_SPEC=str(wheels)).ran

    return once(tmp_path_factory, "filled", make) / "cache"


@pytest.fixture
def agent(tmp_path: Path, bare_venv: Path) -> Agent:
    workspace = tmp_path / "a job @2"
    workspace.mkdir()
    made = Agent(workspace, tmp_path / "cache")
    # The Python that runs the tests, without their packages.
    made.python(f"""
[ "$2" != venv ] || exec cp -R "{bare_venv}" "$3"
exec "{sys._base_executable}" -s "$@\"""")
    return made


@pytest.fixture
def small_wheel():
    """``small_wheel(folder, version)``: the right name, no dependencies, success as the answer to every command."""

    def make(folder: Path, version: str = __version__) -> Path:
        path = folder / f"jenkins_proxy-{version}-py3-none-any.whl"
        info = f"jenkins_proxy-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("jenkins_proxy/__init__.py", "")
            archive.writestr(
                "jenkins_proxy/__main__.py",
                f"import sys\nprint('{version}' if sys.argv[1:] == ['--version'] else 'exit=0')\n",
            )
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: jenkins-proxy\nVersion: {version}\n")
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        return path

    return make

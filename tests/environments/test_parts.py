"""What resources/environments/parts.sh uses, installs and says: its functions, with programs of our own on the PATH."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

# What the script itself is made of.
TOOLS = (
    "bash",
    "cat",
    "cksum",
    "dirname",
    "grep",
    "id",
    "mkdir",
    "readlink",
    "rm",
    "sed",
    "seq",
    "sleep",
    "tail",
    "env",
)


class Machine:
    """A machine that has only the programs that it is given."""

    def __init__(self, script: Path, folder: Path) -> None:
        self._script, self._bin, self._cache = script, folder / "bin", folder / "cache"
        self.state = folder / "run"
        self._bin.mkdir()
        self.state.mkdir()
        self.installed = folder / "installed"
        for tool in TOOLS:
            (self._bin / tool).symlink_to(str(shutil.which(tool)))

    def program(self, name: str, script: str = "exit 0") -> None:
        (self._bin / name).unlink(missing_ok=True)
        (self._bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self._bin / name).chmod(0o755)

    def apt(self, *packages: str) -> None:
        """Its apt-get installs, or rather writes down, and its release has these packages."""
        self.program("apt-get", f'[ "$1" = update ] || echo "$@" >>"{self.installed}"')
        known = "|".join(packages) or "none"
        self.program("apt-cache", f'case "$2" in {known}) echo "$2 | 1.0" ;; esac')

    def user(self, number: int) -> None:
        self.program("id", f"echo {number}")

    def run(self, commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
        # Without the folders that the script adds: this machine's own programs are not that machine's.
        text = f'. "{self._script}"; PATH="{self._bin}"; {commands}'
        return subprocess.run(
            [str(self._bin / "bash"), "-euo", "pipefail", "-c", text],
            env={
                "PATH": str(self._bin),
                "HOME": str(self._cache),
                "JENKINS_PROXY_PARTS": str(self._cache),
                "PARTS_RUN": str(self.state),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(repository: Path, tmp_path: Path) -> Machine:
    made = Machine(repository / "resources/environments/parts.sh", tmp_path)
    made.user(0)
    return made


ENGINE = "parts_apt $(parts_wants_engine) haproxy; parts_engine"


def test_an_engine_that_answers_needs_no_root_and_no_package(machine: Machine) -> None:
    for name in ("docker", "haproxy"):
        machine.program(name)
    machine.user(1000)
    machine.apt("docker.io", "docker-cli")
    done = machine.run(ENGINE)
    assert (done.returncode, done.stderr) == (0, "")
    assert not machine.installed.exists()


def test_what_is_missing_is_said_before_it_is_installed_in_one_go(machine: Machine) -> None:
    machine.apt("docker.io", "haproxy")
    done = machine.run("parts_apt $(parts_wants_engine) haproxy")
    assert done.stderr == "[parts] installing: docker.io haproxy\n"
    assert machine.installed.read_text() == ("install -y -qq --no-install-recommends --no-remove docker.io haproxy\n")


def test_where_the_cli_is_a_package_of_its_own_both_are_installed(machine: Machine) -> None:
    machine.apt("docker.io", "docker-cli", "haproxy")
    assert machine.run(ENGINE.partition(";")[0]).stderr == "[parts] installing: docker-cli docker.io haproxy\n"


def test_a_cli_and_an_engine_of_another_vendor_stay(machine: Machine) -> None:
    machine.apt("docker.io", "docker-cli")
    machine.program("docker", "echo no engine >&2; exit 1")
    machine.program("dockerd", "sleep 5")
    assert machine.run("parts_apt $(parts_wants_engine)").stderr == ""
    assert not machine.installed.exists()


def test_as_an_ordinary_user_what_is_missing_is_named(machine: Machine) -> None:
    machine.user(1000)
    machine.program("docker")
    done = machine.run(ENGINE)
    assert done.returncode == 1
    assert done.stderr == "[parts] ERROR: not root, and missing: haproxy; install them and run again\n"


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({}, "no docker command: install the Docker CLI (Debian: docker-cli or docker.io)"),
        (
            {"docker": "echo permission denied >&2; exit 1"},
            "no Docker Engine answers, and there is no dockerd to start",
        ),
        ({"docker": "exit 1", "dockerd": "echo no space left; exit 1"}, "dockerd ended"),
    ],
    ids=["no-cli", "no-engine", "engine-ends"],
)
def test_the_reason_is_the_real_one(machine: Machine, programs: dict[str, str], reason: str) -> None:
    for name, script in programs.items():
        machine.program(name, script)
    done = machine.run("parts_engine")
    assert done.returncode == 1
    assert f"ERROR: {reason}" in done.stderr.splitlines()[-1]


def test_the_id_file_of_an_engine_that_was_killed_is_in_nobodys_way(machine: Machine) -> None:
    # No process has a number beyond the kernel's limit of 2^22.
    (machine.state / "docker.pid").write_text("4194305")
    machine.program("docker", f'[ "$1" != version ] || [ -f "{machine.state}/up" ]')
    refuses = f'[ ! -f "{machine.state}/docker.pid" ] || exit 1'
    machine.program("dockerd", f'{refuses}; echo >"{machine.state}/up"; sleep 5')
    assert machine.run("parts_engine").returncode == 0


def test_an_engine_that_refuses_this_user_says_so(machine: Machine) -> None:
    machine.user(1000)
    machine.program("docker", "echo permission denied >&2; exit 1")
    assert "no Docker Engine answers this user (permission denied)" in machine.run("parts_engine").stderr


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_a_part_that_the_platform_lacks_is_noted_and_in_ci_an_error(machine: Machine, required: str, code: int) -> None:
    machine.program("docker-compose", "echo 2.26.1")
    done = machine.run('parts_compose_v1; printf %s "$PARTS_ABSENT"', PARTS_REQUIRED=required)
    assert done.returncode == code
    assert "has no docker-compose 1.x" in done.stdout + done.stderr


def test_compose_v1_that_is_there_is_not_absent(machine: Machine) -> None:
    machine.program("docker-compose", "echo 1.29.2")
    done = machine.run('parts_compose_v1; printf %s "$PARTS_ABSENT"')
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [({"python3": "0", "python3.12": "0"}, "python3"), ({"python3": "1", "python3.11": "0"}, "python3.11")],
)
def test_a_python_of_a_version_is_enough(machine: Machine, pythons: dict[str, str], chosen: str) -> None:
    for name, code in pythons.items():
        machine.program(name, f"exit {code}")
    assert machine.run("parts_python").stdout.strip().rpartition("/")[2] == chosen


def test_fast_installs_nothing(machine: Machine) -> None:
    machine.apt("python3", "python3-venv")
    done = machine.run("parts_venv there pytest", PARTS_NO_APT="1")
    assert done.returncode == 1
    assert done.stderr == "[parts] ERROR: missing: python3 python3-venv\n"
    assert not machine.installed.exists()

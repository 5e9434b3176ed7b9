"""Which orchestrator is used, with the real programs and with some of them out of reach."""

from __future__ import annotations

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DockerError, UsageError
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.runner import Program
from jenkins_proxy.orchestrator.timing import Timing

BOOKS = 'version: "2"\nservices:\n  app:\n    image: "{1}"\n    ports: ["8080"]\n    stop_grace_period: 1s\n'


@pytest.fixture
def choose(resolved, project_name, tmp_path):
    """``choose()`` gives the name of the chosen orchestrator and why."""

    def ask(wanted: str = "auto", with_settings=resolved, project: str = project_name) -> tuple[str, str]:
        made, why = detect.choose(
            with_settings, Console(), project=project, files=[str(tmp_path / "docker-compose.yml")], wanted=wanted
        )
        return made.name, why

    return ask


@pytest.fixture
def only(tmp_path, program, monkeypatch):
    """``only("docker-compose")`` leaves nothing but these programs on the PATH, and no plug-in of docker."""

    def leave(*names: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(program(name))
        # docker-compose 1.x is a Python script.
        (folder / "python3").symlink_to(program("python3"))
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("HOME", str(tmp_path))

    return leave


def test_v2_is_used_where_both_are_installed(choose, compose_v1):
    assert choose() == ("compose-v2", "compose v2 is installed")


def test_what_made_the_running_containers_is_used(choose, compose, flavour, deadline, project_name):
    compose(BOOKS).up(deadline=deadline)
    assert choose() == (flavour, f"it made what runs of {project_name}")


def test_v1_is_used_where_it_is_alone(choose, only, compose_v1):
    only("docker-compose")
    assert choose() == ("compose-v1", "compose v1 is installed, v2 is not")


@pytest.mark.parametrize("flavour", ["compose-v2"])
def test_the_makers_absence_is_told(choose, only, compose_v1, compose, flavour, deadline):
    compose(BOOKS).up(deadline=deadline)
    only("docker-compose")
    name, why = choose()
    assert name == "compose-v1"
    assert why == "compose v1 is installed, v2 is not; compose-v2 made what runs and is not installed"


def test_none_is_installed(choose, only):
    only()
    with pytest.raises(UsageError, match="neither compose-v2 nor compose-v1 is installed") as caught:
        choose()
    assert "docker compose version" in caught.value.hint
    with pytest.raises(UsageError, match="^compose-v1 is not installed$"):
        choose("compose-v1")


def test_what_is_asked_for_is_used(choose, flavour):
    assert choose(flavour) == (flavour, "asked for")


def test_v2_as_a_program_of_its_own(tmp_path, monkeypatch):
    # Docker ships it so too; the plug-in cannot be told apart from it but by its version.
    (tmp_path / "docker-compose").write_text("#!/bin/sh\necho v2.29.7\n")
    (tmp_path / "docker-compose").chmod(0o755)
    found = detect.probe("compose-v2", {"PATH": str(tmp_path)})
    assert found == Program("compose-v2", ("docker-compose",), "2.29.7")
    assert detect.probe("compose-v1", {"PATH": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "version, docker, docker_compose, expected",
    [
        ("23.0.0", "v2.26.1", "1.29.2", "stack"),
        ("20.10.24", "v2.26.1", "1.29.2", "compose-v1"),
        ("20.10.24", "v2.26.1", "", "compose-v2"),
        ("20.10.24", "v2.26.1", "v2.29.7", "compose-v2"),
        ("20.10.24", "", "", "stack"),
    ],
)
def test_what_reads_a_stacks_files(tmp_path, version, docker, docker_compose, expected):
    for name, answer in (("docker", docker), ("docker-compose", docker_compose)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {answer}\n")
        (tmp_path / name).chmod(0o755)
    program = Program("stack", ("docker", "stack"), version)
    assert detect.reader_of(program, {"PATH": str(tmp_path)}).name == expected


def test_a_program_that_does_not_tell_its_version(tmp_path, program):
    (tmp_path / "docker-compose").write_text(f"#!/bin/sh\nexec {program('sleep')} 1000\n")
    (tmp_path / "docker-compose").chmod(0o755)
    with pytest.raises(UsageError, match="^docker-compose version --short did not end within 0.2 s$"):
        detect.probe("compose-v1", {"PATH": str(tmp_path)}, Timing(version=0.2))


FIRST = "app:\n  image: x\n  ports: ['8080']\n"


@pytest.fixture
def readable(resolved, project_name, tmp_path):
    """``readable(text)`` gives the name of the orchestrator that can read the file, and why it is that one."""

    def ask(text: str, wanted: str = "auto") -> tuple[str, str]:
        (tmp_path / "docker-compose.yml").write_text(text)
        files = [str(tmp_path / "docker-compose.yml")]
        made, why = detect.choose_readable(resolved, Console(), project=project_name, files=files, wanted=wanted)
        return made.name, why

    return ask


def test_v1_reads_what_v2_refuses(readable, compose_v1):
    assert readable(FIRST) == ("compose-v1", "its files are of compose's first version")
    both = 'version: "2"\nservices: {app: {image: x, ports: ["8080"]}}'
    assert readable(both) == ("compose-v2", "compose v2 is installed")


def test_what_neither_reads_is_v2s_to_say(readable, compose_v1):
    with pytest.raises(UsageError, match="imag"):
        readable("services: {app: {imag: x}}")


def test_where_v1_is_not_to_be_had_it_is_named(readable):
    with pytest.raises(UsageError, match="the form of compose's first version, without services:") as caught:
        readable(FIRST, "compose-v2")
    assert "docker-compose 1.x" in caught.value.hint


@pytest.mark.parametrize("name", ["Books", "books ms", "books/ms", "-books", "", "b" * 64, "books\n"])
def test_project_names_that_are_none(choose, name):
    with pytest.raises(UsageError, match="project name .* is not lower-case letters"):
        choose(project=name)


def test_no_engine(choose, tmp_path):
    with pytest.raises(DockerError, match="no Docker Engine answers"):
        choose(with_settings=settings.resolve({"docker_host": f"unix://{tmp_path}/no.sock"}))


CLASSIC = {"ServerVersion": "swarm/1.2.9"}
MANAGER = {"ServerVersion": "20.10.24", "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}


@pytest.mark.parametrize(
    "info, manager, classic",
    [
        (CLASSIC, False, True),
        (MANAGER, True, False),
        ({"Swarm": {"LocalNodeState": "active", "ControlAvailable": False}}, False, False),
        ({"Swarm": {"LocalNodeState": "locked", "ControlAvailable": True}}, False, False),
        ({"ServerVersion": "20.10.24"}, False, False),
    ],
)
def test_kinds_of_engines(info, manager, classic):
    assert (detect.is_manager(info), detect.is_classic(info)) == (manager, classic)

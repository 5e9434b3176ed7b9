"""Which orchestrator to use: by what runs already, what the engine is, and which programs are installed."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jenkins_proxy import processes
from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator import stack_config
from jenkins_proxy.orchestrator.base import AUTO, COMPOSE_V1, COMPOSE_V2, STACK, Orchestrator
from jenkins_proxy.orchestrator.compose import project_files
from jenkins_proxy.orchestrator.compose.compose import Compose
from jenkins_proxy.orchestrator.runner import Program, Runner
from jenkins_proxy.orchestrator.stack import Stack
from jenkins_proxy.orchestrator.swarm_tasks import NAMESPACE
from jenkins_proxy.orchestrator.timing import Timing
from jenkins_proxy.settings import Settings
from jenkins_proxy.validation import shown

INSTALL = "install Docker's compose plug-in (docker compose version answers then), or docker-compose 1.x"


def choose(
    settings: Settings,
    console: Console,
    *,
    project: str,
    files: Sequence[str],
    wanted: str = AUTO,
    profiles: Sequence[str] = (),
    targets: Sequence[str] = (),
    timing: Timing | None = None,
) -> tuple[Orchestrator, str]:
    """Pick the orchestrator of a project.

    1. the one that is asked for;
    2. the one that made what runs of the project: any other would recreate, or not even see, all of it;
    3. ``stack`` on a manager of a Swarm-mode cluster: compose would use that one node only;
    4. ``compose-v1`` on a classic Swarm manager: its API is older than v2 asks for;
    5. ``compose-v2``, else ``compose-v1``.

    :param project: the ``-p`` of compose, or the stack's name.
    :param files: compose files, later ones over earlier ones.
    :param wanted: ``auto`` or one of NAMES.
    :param profiles: of compose, beside those of the environment and of the targets.
    :param targets: the services that are asked for by name.
    :param timing: None means the usual times.
    :return: the orchestrator, and why it is this one.
    :raises UsageError: when none is installed, the wanted one is not, or the project's name is not allowed.
    :raises DockerError: when the engine does not answer.
    """
    _check_name(project)
    timing = timing or Timing()
    engine = Engine.from_settings(settings)
    info = engine.info()
    if wanted == STACK and not is_manager(info):
        raise UsageError(
            f"the engine at {engine.url} is no manager of a Swarm-mode cluster, which a stack needs",
            "set DOCKER_HOST to a manager, or use compose",
        )
    candidates = [(wanted, "asked for")] if wanted != AUTO else _candidates(engine, info, project)
    for name, reason in candidates:
        environment = engine.endpoint.environment(settings.docker_environment(), contexts=name != COMPOSE_V1)
        program = probe(name, environment, timing)
        if program:
            runner = Runner(program, environment, console, timing)
            if name == STACK:
                reader = replace(runner, program=reader_of(program, environment, timing))
                stack = Stack(runner, reader=reader, engine=engine, project=project, files=files)
                return stack, reason + _read_by(reader.program, program)
            enabled = (*profiles, *project_files.profiles(files, environment))
            compose = functools.partial(Compose, runner, engine=engine, project=project, files=files)
            return compose(profiles=enabled, targets=targets, several_nodes=is_classic(info)), reason
    names = " nor ".join(name for name, _ in candidates)
    raise UsageError(f"neither {names} is installed" if len(candidates) > 1 else f"{names} is not installed", INSTALL)


def _check_name(project: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", project):
        raise UsageError(
            f"project name {shown(project)} is not lower-case letters, digits, - and _", "give one with -p"
        )


def choose_readable(
    settings: Settings,
    console: Console,
    *,
    project: str,
    files: Sequence[str],
    wanted: str = AUTO,
    profiles: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> tuple[Orchestrator, str]:
    """The same, of those that can read the files: compose v1 where v2 refuses what v1 takes.

    :raises UsageError: also when none can.
    """

    def choice(kind: str) -> tuple[Orchestrator, str]:
        return choose(settings, console, project=project, files=files, wanted=kind, profiles=profiles, targets=targets)

    chosen, reason = choice(wanted)
    try:
        chosen.validate()
    except UsageError as error:
        if chosen.name != COMPOSE_V2:
            raise
        known = project_files.variables(files, os.environ, os.getcwd())
        old = any(map(project_files.is_version_1, project_files.located(files, known, os.getcwd())))
        if wanted == AUTO and probe(COMPOSE_V1, settings.docker_environment()):
            other, _ = choice(COMPOSE_V1)
            with contextlib.suppress(UsageError):
                other.validate()
                why = "its files are of compose's first version" if old else f"v2 refuses the files: {error.message}"
                return other, why
        if old:
            raise UsageError(
                f"{error.message}: the form of compose's first version, without services:, which v2 does not read",
                "put it under services:, or install docker-compose 1.x and add --orchestrator compose-v1",
            ) from error
        raise
    return chosen, reason


def is_manager(info: Mapping[str, Any]) -> bool:
    """Whether this ``/info`` is that of a Swarm-mode manager which takes orders."""
    swarm = info.get("Swarm") or {}
    return swarm.get("LocalNodeState") == "active" and bool(swarm.get("ControlAvailable"))


def is_classic(info: Mapping[str, Any]) -> bool:
    """Whether this ``/info`` is that of a classic Swarm manager (``swarm/1.2.9``)."""
    return str(info.get("ServerVersion", "")).startswith("swarm/")


def _candidates(engine: Engine, info: Mapping[str, Any], project: str) -> list[tuple[str, str]]:
    rest = [(COMPOSE_V2, "compose v2 is installed"), (COMPOSE_V1, "compose v1 is installed, v2 is not")]
    if is_classic(info):
        rest = [
            (COMPOSE_V1, "the engine is a classic Swarm manager"),
            (COMPOSE_V2, "the engine is a classic Swarm manager, and compose v1 is not installed"),
        ]
    elif is_manager(info):
        rest.insert(0, (STACK, "the engine is a Swarm-mode manager"))
    maker = made_by(engine, info, project)
    if not maker:
        return rest
    # The maker is not installed here: then all is made anew, as compose itself would do it.
    others = [(name, f"{reason}; {maker} made what runs and is not installed") for name, reason in rest]
    return [(maker, f"it made what runs of {project}"), *(entry for entry in others if entry[0] != maker)]


def made_by(engine: Engine, info: Mapping[str, Any], project: str) -> str:
    """The orchestrator that made what there is of a project; empty when there is nothing of it."""
    if is_manager(info):
        filters = f'{{"label": ["{NAMESPACE}={project}"]}}'
        if engine.get("/services", params={"filters": filters}):
            return STACK
    made = [
        container.labels.get("com.docker.compose.version", "")
        for container in sorted(containers.of_project(engine, project), key=lambda container: container.created)
    ]
    if not made:
        return ""
    return COMPOSE_V1 if made[-1].startswith("1.") else COMPOSE_V2


def probe(name: str, environment: Mapping[str, str], timing: Timing | None = None) -> Program | None:
    """Look whether an orchestrator is installed.

    :param name: one of NAMES.
    :param environment: as the program will run in.
    :param timing: None means the usual times.
    :raises UsageError: when it does not print its version in time.
    """
    seconds = (timing or Timing()).version
    if name == STACK:
        version = _version(("docker", "--version"), environment, seconds)
        return Program(STACK, ("docker", "stack"), version) if version else None
    # Compose v2 is also shipped as a program of its own that is called like v1.
    for argv in (("docker", "compose"), ("docker-compose",)):
        version = _version((*argv, "version", "--short"), environment, seconds)
        if version and version.startswith("1.") == (name == COMPOSE_V1):
            return Program(name, argv, version)
    return None


def reader_of(program: Program, environment: Mapping[str, str], timing: Timing | None = None) -> Program:
    """What reads the files of stacks that this ``docker stack`` deploys: itself, or compose where it cannot.

    Version 1 comes first, as a stack's files are of its time. Without any compose it stays with the program, which
    says so once it has to read.
    """
    if stack_config.reads(program):
        return program
    return probe(COMPOSE_V1, environment, timing) or probe(COMPOSE_V2, environment, timing) or program


def _read_by(reader: Program, program: Program) -> str:
    return f"; {reader.name} reads its files, as Docker CLI {program.version} cannot" if reader != program else ""


def _version(argv: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    if not processes.find(argv[0], environment):
        return ""
    answer = processes.ask(argv, seconds, env=environment)
    # `Docker version 28.2.2, build e6534b4`, `v2.26.1-4`, `1.29.2`
    found = re.search(r"\d+(\.\d+)+", answer.stdout)
    return found[0] if found and not answer.returncode else ""

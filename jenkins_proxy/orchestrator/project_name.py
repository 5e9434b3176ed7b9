"""Which compose project a deploy goes into: the one that compose itself would take, where its files say one."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from jenkins_proxy.clients.docker import containers
from jenkins_proxy.clients.docker.containers import CONFIG_FILES, PROJECT, WORKING_DIR
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import AUTO, STACK
from jenkins_proxy.orchestrator.compose.project_files import ProjectName, located, normal, said, variables
from jenkins_proxy.settings import Settings


def resolve(settings: Settings, *, given: str, service: str, files: Sequence[str], wanted: str = AUTO) -> ProjectName:
    """The project to deploy into.

    1. the one that ``-p`` gives;
    2. ``COMPOSE_PROJECT_NAME``, of the environment or of ``.env``;
    3. the ``name:`` of the files;
    4. the one in which containers of these files run;
    5. the service's name.

    A stack has no name in its files, and compose's words are not for it: it is the one of ``-p``, else the service's.

    :param given: the ``-p``; empty where there is none.
    :param service: the name in the registry.
    :param files: as given with ``-f``; none means those that compose finds.
    :param wanted: the orchestrator that is asked for.
    :raises UsageError: when these files run in several other projects.
    :raises DockerError: when the engine does not answer.
    """
    if given:
        return ProjectName(given, "given with -p")
    # Not the folder's name: a Jenkins workspace may be `job@2`.
    own = ProjectName(normal(service), "the service's name")
    if wanted == STACK:
        return own
    environ = variables(files, settings.docker_environment(), os.getcwd())
    paths = located(files, environ, os.getcwd())
    engine = Engine.from_settings(settings)
    running = projects_of(paths, containers.labels_of_running(engine)) if paths else frozenset()
    if wanted == AUTO and not running and detect.is_manager(engine.info()):
        return own
    return said(paths, environ) or of_running(running, own)


def of_running(running: Collection[str], own: ProjectName) -> ProjectName:
    """The project in which the files run, else the service's own.

    :param running: the projects in which containers of the files run.
    :raises UsageError: when there are several, and the service's own is none of them.
    """
    if not running:
        return own
    if own.name in running:
        return ProjectName(own.name, f"{own.reason}, and its containers run")
    if len(running) > 1:
        raise UsageError(
            f"these compose files run in several projects: {', '.join(sorted(running))}", "name one of them with -p"
        )
    return ProjectName(next(iter(running)), "containers of these files run in it")


def projects_of(paths: Sequence[str], labels: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """The projects of containers that were made from these files, or from these and an override.

    :param paths: the files, with their folders.
    :param labels: of the containers. Compose v1 writes a file as it was given, and that from a folder nobody knows:
        then the project's own folder is taken.
    """
    mine = [os.path.realpath(path) for path in paths]
    found = set()
    for label in labels:
        folder, written = label.get(WORKING_DIR, ""), label.get(CONFIG_FILES, "")
        theirs = [_path(folder, file) for file in written.split(",") if file and file != "-"]
        if theirs and theirs[0] == mine[0] and (set(theirs) <= set(mine) or set(mine) <= set(theirs)):
            found.add(label[PROJECT])
    return frozenset(found)


def _path(folder: str, file: str) -> str:
    whole = os.path.join(folder, file)
    # From another folder, v1 has written more of the path than belongs behind the project's own folder.
    return os.path.realpath(whole if os.path.exists(whole) else os.path.join(folder, os.path.basename(file)))

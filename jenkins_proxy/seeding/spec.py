"""What should be in Jenkins: folders, jobs and views, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNDEPLOY_GONE = "undeploy-gone"
"""Our template of a job that undeploys what runs of a service's branches that are gone."""

TEMPLATES = ("deploy", "scale", "remove", "undeploy", UNDEPLOY_GONE)
"""Those that are ours."""


@dataclass(frozen=True)
class Git:
    """A repository; ``branch`` is Jenkins' own default when the file names none."""

    url: str
    branch: str = "master"
    credentials_id: str = ""


@dataclass(frozen=True)
class Scm:
    """Where a job's Jenkinsfile is."""

    git: Git
    script_path: str = "Jenkinsfile"
    lightweight: bool = True


@dataclass(frozen=True)
class Parameter:
    """A build parameter.

    :ivar type: ``string``, ``text``, ``boolean`` or ``choice``.
    :ivar default: ``true`` or ``false`` for a boolean; a choice's default is its first choice.
    """

    name: str
    type: str = "string"
    default: str = ""
    choices: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Service:
    """What the jobs of one service have in common."""

    name: str
    path: tuple[str, ...] = ()
    compose_files: tuple[str, ...] = ()
    project: str = ""
    agent: str = "docker"
    git: Git | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """A pipeline script to render.

    :ivar name: one of ours (``deploy``), or the file's name as the seed file gives it.
    :ivar options: further arguments of the step.
    :ivar file: the user's file; None for one of ours.
    """

    name: str
    service: Service
    options: Mapping[str, Any]
    file: Path | None = None


@dataclass(frozen=True)
class Job:
    """A pipeline job.

    :ivar path: with its folders: ``teams/books/deploy-books-ms``.
    :ivar disabled: None leaves it as people set it.
    :ivar parameters: None leaves them to the Jenkinsfile, which may declare its own; so does ``triggers``.
    :ivar triggers: ``{"cron": …, "pollScm": …}``, either or both.
    :ivar source: the script's text, a template that gives it, or where the Jenkinsfile is.
    :ivar place: ``file:line:column``, for errors that show only later.
    """

    path: str
    source: str | Template | Scm
    description: str = ""
    disabled: bool | None = None
    parameters: tuple[Parameter, ...] | None = None
    triggers: Mapping[str, str] | None = None
    place: str = ""

    @property
    def credentials_id(self) -> str:
        """What its repository is read with; empty when nothing."""
        git = self.source.git if isinstance(self.source, Scm) else None
        if isinstance(self.source, Template):
            git = self.source.service.git
        return git.credentials_id if git else ""


@dataclass(frozen=True)
class Folder:
    """A folder; ``description`` is None for one that only has to exist."""

    path: str
    description: str | None = None


@dataclass(frozen=True)
class View:
    """A list of jobs, by name, by regular expression, or both."""

    path: str
    description: str = ""
    jobs: tuple[str, ...] = ()
    regex: str = ""


@dataclass(frozen=True)
class Spec:
    """A whole seed file.

    :ivar seed: who owns what is seeded.
    :ivar library: the shared library with its version, as ``@Library`` takes it.
    :ivar folders: parents before children.
    """

    seed: str
    library: str
    variables: Mapping[str, str]
    folders: tuple[Folder, ...]
    jobs: tuple[Job, ...]
    views: tuple[View, ...]

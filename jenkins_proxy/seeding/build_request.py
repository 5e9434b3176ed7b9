"""Asks Jenkins about a job before a build of it is asked for: a refused request does not say why it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from jenkins_proxy.errors import JenkinsServerError, Problems, UsageError
from jenkins_proxy.seeding.items import JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused, item_path
from jenkins_proxy.validation import few

_TREE = "buildable,color,jobs[name,displayName],lastBuild[number],property[parameterDefinitions[name,type,choices]]"
_MULTIBRANCH = "WorkflowMultiBranchProject"


@dataclass(frozen=True)
class Buildable:
    """A job that can be built.

    :ivar path: as Jenkins has it: the branch ``feature/x`` is ``feature%2Fx`` there.
    :ivar has_parameters: which decides how a build is asked for.
    """

    path: str
    has_parameters: bool


def find(server: JenkinsServer, job: str, parameters: Mapping[str, str]) -> Buildable:
    """Find the job, or the branch of a multibranch project, and hold the parameters against it.

    :raises UsageError: for parameters that the job does not have or does not take, all at once.
    :raises JenkinsServerError: when there is no such job, or it cannot be built: a folder, a disabled one.
    """
    job = job.removeprefix(server.url).strip("/")
    try:
        about = _ask(server, job)
    except Refused as error:
        if error.status != 404:
            raise
        job = _in_address(job) or _branch(server, job, error)
        about = _ask(server, job)
    _check_buildable(server, job, about)
    definitions = [
        definition
        for property_ in about.get("property", ())
        for definition in property_.get("parameterDefinitions", ())
    ]
    # What a pipeline declares are the parameters of the build before.
    never = "; what its pipeline declares is known after its first build" if about.get("lastBuild", 0) is None else ""
    _check_parameters(job, {definition["name"]: definition for definition in definitions}, parameters, never)
    return Buildable(job, bool(definitions))


def _ask(server: JenkinsServer, job: str) -> Mapping[str, Any]:
    path = f"{item_path(JOB, job)}/api/json".lstrip("/")
    about: Mapping[str, Any] = server.json(
        server.call("GET", path, doing=f"find the job {job} in", params={"tree": _TREE})
    )
    return about


def _in_address(job: str) -> str:
    """The path of a job that is given as in its address: ``a/b`` for ``job/a/job/b``; empty where it is none."""
    steps = job.split("/")
    return "/".join(map(unquote, steps[1::2])) if len(steps) % 2 == 0 and set(steps[0::2]) == {"job"} else ""


def _branch(server: JenkinsServer, job: str, refused: Refused) -> str:
    """The path of a branch whose name has slashes.

    :raises Refused: when there is none; it says what is in the nearest folder that is there.
    """
    parts = job.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        folder, rest = "/".join(parts[:depth]), "/".join(parts[depth:])
        try:
            inside = _ask(server, folder)
        except Refused as error:
            if error.status != 404:
                raise
            continue
        for entry in inside.get("jobs", ()):
            if entry["name"] == quote(rest, safe="") or entry.get("displayName") == rest:
                return f"{folder}/{entry['name']}".lstrip("/")
        raise Refused(refused.message, f"{folder or 'Jenkins'} has {_names(inside)}", refused.status)
    raise refused


def _check_buildable(server: JenkinsServer, job: str, about: Mapping[str, Any]) -> None:
    if "jobs" in about:
        multibranch = str(about.get("_class")).endswith(_MULTIBRANCH)
        what, part = ("a multibranch project", "branch") if multibranch else ("a folder", "job")
        raise JenkinsServerError(
            f"{job} is {what}, of which nothing is built",
            f"build a {part} of it, as {job}/NAME: it has {_names(about)}",
        )
    page = f"{server.url}/{item_path(JOB, job)}/"
    if str(about.get("color", "")).startswith("disabled"):
        raise JenkinsServerError(f"the job {job} is disabled", f"enable it at {page}")
    if about.get("buildable") is False:
        raise JenkinsServerError(f"the job {job} cannot be built", f"see {page}")


def _check_parameters(
    job: str, defined: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], never_built: str
) -> None:
    problems = Problems()
    unknown = [name for name in given if name not in defined]
    if unknown:
        known = ", ".join(defined) or "none"
        problems.keep(
            UsageError(f"the job {job} has no parameter {', '.join(unknown)}", f"it has: {known}{never_built}")
        )
    for name, value in given.items():
        reason = _unfit(defined[name], value) if name in defined else ""
        if reason:
            problems.keep(UsageError(f"the parameter {name} of the job {job} takes {reason}"))
    problems.raise_any()


def _unfit(definition: Mapping[str, Any], value: str) -> str:
    """What a parameter takes, where that is not the value; the value itself may be a secret, and is not shown."""
    kind = str(definition.get("type", ""))
    if kind.endswith("FileParameterDefinition"):
        return "a file, which --param cannot give"
    choices = definition.get("choices") or ()
    if kind == "ChoiceParameterDefinition" and value not in choices:
        return f"one of {', '.join(choices)}"
    return "true or false" if kind == "BooleanParameterDefinition" and value not in ("true", "false") else ""


def _names(about: Mapping[str, Any]) -> str:
    names = [str(entry.get("displayName") or entry["name"]) for entry in about.get("jobs", ())]
    return few(names, 10) if names else "none"

"""What jobs need of Jenkins besides themselves, looked up before anything is written: it is all told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from jenkins_proxy.errors import JenkinsServerError, Problems, UsageError
from jenkins_proxy.seeding.apply import DECLARATIVE
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from jenkins_proxy.seeding.needs import git_refs, loaded
from jenkins_proxy.seeding.needs.library import Library
from jenkins_proxy.seeding.spec import Job, Scm, Template

_PIPELINE, _FOLDERS, _GIT = "Pipeline: Job", "Folders", "Git"
_LIBRARIES, _DECLARATIVE_PLUGIN = "Pipeline: Groovy Libraries", "Pipeline: Declarative"
_BINDING, _LOCK = "Credentials Binding", "Lockable Resources"
_IDS = {
    _PIPELINE: ("workflow-job",),
    _FOLDERS: ("cloudbees-folder",),
    _GIT: ("git",),
    # The older name of the same plugin.
    _LIBRARIES: ("pipeline-groovy-lib", "workflow-cps-global-lib"),
    _DECLARATIVE_PLUGIN: ("pipeline-model-definition",),
    _BINDING: ("credentials-binding",),
    _LOCK: ("lockable-resources",),
}
"""Each plugin's name on Jenkins' screens, and its ids."""


def check(
    server: JenkinsServer,
    jobs: Sequence[Job],
    library: Library | None,
    label: str,
    seconds: float,
    *,
    scripts: Mapping[str, str] | None = None,
) -> list[str]:
    """Look whether Jenkins can run the jobs.

    :param library: the library that is about to be registered; None where Jenkins' own settings are left alone.
    :param label: of the node that is about to be made; empty for none.
    :param seconds: time limit for the answer of the library's repository.
    :param scripts: of the jobs, as they are written, by their paths: the libraries that they load are looked for.
    :return: what could not be checked or may come yet, each in a line.
    :raises JenkinsServerError: for all that is missing.
    :raises UsageError: for a library without the version, and all else that is missing.
    """
    problems, unknown = Problems(), []
    if library:
        refs = git_refs.read(library.remote, seconds)
        problems.gather(lambda: _check_version(library, refs))
        if refs.reason:
            unknown.append(
                f"whether the library has a version {library.version} could not be checked from here: {refs.reason}"
            )
    installed = _installed(server)
    missing = () if installed is None else missing_plugins(jobs, installed, library=library is not None)
    for plugin, users in missing:
        problems.keep(_no_plugin(server, plugin, users))
    for wanted, paths in _labels(jobs).items():
        # The one that is about to be made may be part of an expression.
        if not (label and label in wanted) and not _has_label(server, wanted):
            problems.keep(_no_label(server, wanted, paths))
    unknown += loaded.check(server, scripts or {}, library.name if library else "")
    problems.raise_any()
    return unknown


def missing_plugins(jobs: Sequence[Job], installed: Iterable[str], *, library: bool) -> list[tuple[str, str]]:
    """The plugins that are needed and not there, each with what needs it.

    :param installed: the ids of those that are active.
    :param library: whether a library is registered, too.
    """
    there = set(installed)
    needed: dict[str, list[str]] = {_LIBRARIES: ["--library"], _GIT: ["--library"]} if library else {}
    for job in jobs:
        for plugin in plugins(job):
            needed.setdefault(plugin, []).append(job.path)
    return [(plugin, _few(users)) for plugin, users in needed.items() if there.isdisjoint(_IDS[plugin])]


def plugins(job: Job) -> list[str]:
    """What a job needs, by the plugins' names."""
    wanted = [_PIPELINE]
    if "/" in job.path:
        wanted.append(_FOLDERS)
    source = job.source
    if isinstance(source, Scm):
        return [*wanted, _GIT]
    if isinstance(source, str):
        wanted += [_LIBRARIES] if "@Library(" in source else []
        return wanted + ([_DECLARATIVE_PLUGIN] if DECLARATIVE.search(source) else [])
    if source.file:  # a template of the user's own, whose steps are not known
        return wanted
    options = {**source.service.options, **source.options}
    wanted += [_LIBRARIES] + ([_GIT] if source.service.git else [])
    wanted += [_BINDING] if any(key.endswith("CredentialsId") and options[key] for key in options) else []
    return wanted + ([_LOCK] if options.get("lock") else [])


def _labels(jobs: Sequence[Job]) -> Mapping[str, list[str]]:
    """The jobs of each label, or expression of several: ``docker && big``."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        if isinstance(job.source, Template) and not job.source.file:
            found.setdefault(job.source.service.agent, []).append(job.path)
    return found


def _check_version(library: Library, refs: git_refs.Refs) -> None:
    if refs.lacks(library.version):
        remote = git_refs.without_password(library.remote)
        raise UsageError(
            f"the library {library.name} has no version {library.version} in {remote}, which has {refs.shown()}",
            f"push it: git tag {library.version} && git push --tags; or take what is there: --set version=main",
        )


def _no_plugin(server: JenkinsServer, plugin: str, users: str) -> JenkinsServerError:
    return JenkinsServerError(
        f"Jenkins at {server.url} has no plugin {plugin} ({_IDS[plugin][0]}), which {users} needs",
        f"install it: {server.url}/manage/pluginManager/available",
    )


def _no_label(server: JenkinsServer, label: str, paths: Sequence[str]) -> JenkinsServerError:
    return JenkinsServerError(
        f"Jenkins at {server.url} has no node and no cloud with the label {label}, which {_few(paths)} runs on",
        f"give it to a node under {server.url}/computer/, set agent: of the service"
        + (", or make a node for it with --agent" if label == "docker" else ""),
    )


def _installed(server: JenkinsServer) -> set[str] | None:
    """The ids of the active plugins; None when this user may not see them."""
    try:
        answer = server.call(
            "GET", "pluginManager/api/json", params={"tree": "plugins[shortName,active]"}, doing="list the plugins of"
        )
    except Refused:
        return None
    return {plugin["shortName"] for plugin in server.json(answer)["plugins"] if plugin["active"]}


def _has_label(server: JenkinsServer, label: str) -> bool:
    """Whether a node or a cloud has it, or this user may not know."""
    try:
        answer = server.call(
            "GET",
            f"label/{quote(label, safe='')}/api/json",
            params={"tree": "nodes[nodeName],clouds[name]"},
            doing=f"look for the label {label} in",
        )
    except Refused:
        return True
    about = server.json(answer)
    return bool(about["nodes"] or about["clouds"])


def _few(paths: Sequence[str]) -> str:
    others = len(paths) - 1
    return f"{paths[0]} and {others} more" if others else paths[0]

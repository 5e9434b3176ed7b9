"""Reads a seed file. Everything that can be wrong with one is found here, before Jenkins is asked for anything.

Each error is ``file:line:column: what``. The grammar is ``resources/jenkins_proxy/seeding/schema.json``; what a schema
cannot say is checked below it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jenkins_proxy.errors import UsageError
from jenkins_proxy.seeding import schema, yaml_positions
from jenkins_proxy.seeding.schema import Mistakes
from jenkins_proxy.seeding.spec import (
    TEMPLATES,
    UNDEPLOY_GONE,
    Folder,
    Git,
    Job,
    Parameter,
    Scm,
    Service,
    Spec,
    Template,
    View,
)
from jenkins_proxy.seeding.yaml_positions import Document


def load(path: Path, *, variables: Mapping[str, str], seed: str = "") -> Spec:
    """Read and check a seed file.

    :param variables: values that take the place of the file's own (``--set``).
    :param seed: takes the place of the file's own seed id.
    :raises UsageError: for all that is wrong in it, each as ``file:line:column: what``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the seed file {path}: {error}") from error
    name = str(path)
    document = yaml_positions.read(text, name)
    if not isinstance(document.data, dict):
        raise document.error((), "a seed file is a mapping with a seed id", "begin with a line like  seed: my-team")
    if seed:
        document.data["seed"] = seed
    mistakes = Mistakes()
    document = schema.check(schema.expand(document, variables, mistakes), mistakes)
    spec = _Builder(document, path.parent, mistakes).spec()
    mistakes.raise_any()
    return spec


class _Builder:
    """Turns a file that fits the schema into a Spec, and finds what a schema cannot. What has mistakes is left out."""

    def __init__(self, document: Document, folder: Path, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._document = document
        self._data = document.data
        self._folder = folder
        self._taken: dict[tuple[str, str], str] = {}

    def spec(self) -> Spec:
        jobs = [self._job(data, at, None, "") for at, data in self._good("jobs")]
        for at, data in enumerate(self._data.get("services", ())):
            # One whose own name is wrong names no job.
            nameless = self._mistakes.touch(("services", at, "name"))
            service = _service({**data, "name": ""} if nameless else data)
            for place, job in self._good("services", at, "jobs"):
                jobs.append(self._job(job, place, service, data.get("folder", "")))
        views = [self._view(data, at) for at, data in self._good("views")]
        there = [job for job in jobs if job]
        return Spec(
            seed=self._data["seed"],
            library=self._data.get("library", f"jenkins-proxy@{self._data.get('variables', {}).get('version', '')}"),
            variables=self._data.get("variables", {}),
            folders=self._folders(there, views),
            jobs=tuple(there),
            views=tuple(views),
        )

    def _good(self, *path: str | int) -> list[tuple[yaml_positions.Path, Any]]:
        """The items of a list of the file, with their places, but those that have mistakes."""
        data: Any = self._data
        for step in path:
            data = data.get(step, ()) if isinstance(step, str) else data[step]
        return [((*path, at), item) for at, item in enumerate(data) if not self._mistakes.touch((*path, at))]

    def _folders(self, jobs: list[Job], views: list[View]) -> tuple[Folder, ...]:
        described = {}
        for at, data in self._good("folders"):
            self._take("item", data["name"], (*at, "name"))
            described[data["name"]] = data.get("description")
        needed = set(described)
        for path in [*(job.path for job in jobs), *(view.path for view in views), *described]:
            parents = path.split("/")[:-1]
            needed |= {"/".join(parents[: depth + 1]) for depth in range(len(parents))}
        # Sorted by depth, parents come first.
        ordered = sorted(needed, key=lambda path: (path.count("/"), path))
        return tuple(Folder(path, described.get(path)) for path in ordered)

    def _job(
        self, data: Mapping[str, Any], at: yaml_positions.Path, service: Service | None, folder: str
    ) -> Job | None:
        """None for one that has a mistake."""
        source = self._mistakes.gather(lambda: self._source(data, at, service))
        given = data.get("parameters")
        parameters = self._mistakes.gather(lambda: self._parameters(given, (*at, "parameters"), source))
        name = self._mistakes.gather(lambda: self._name(data, at, source))
        if name is None:
            return None
        path = "/".join(filter(None, (data.get("folder", folder), name)))
        self._take("item", path, (*at, "name"))
        disabled = data.get("disabled", "keep")
        triggers = data.get("triggers")
        if triggers is None and not isinstance(source, Scm):
            triggers = {}
        return Job(
            path,
            source or "",
            data.get("description", ""),
            None if disabled == "keep" else disabled,
            parameters,
            triggers,
            self._document.place(at),
        )

    def _name(self, data: Mapping[str, Any], at: yaml_positions.Path, source: Any) -> str | None:
        """The job's name; None where only what is wrong with its source, or its service, could say it."""
        if "name" in data:
            return str(data["name"])
        if source is None:
            return None
        if not isinstance(source, Template) or source.name not in TEMPLATES:
            raise self._document.error(
                at, "the job has no name", "only jobs from our own templates get one by themselves"
            )
        return f"{source.name}-{source.service.name}" if source.service.name else None

    def _source(
        self, data: Mapping[str, Any], at: yaml_positions.Path, service: Service | None
    ) -> str | Template | Scm:
        kinds = [kind for kind in ("template", "script", "scriptFile", "scm") if kind in data]
        if len(kinds) != 1:
            wanted = ("template, " if service else "") + "script, scriptFile or scm"
            raise self._document.error(at, f"a job has exactly one of {wanted}, not {' and '.join(kinds) or 'none'}")
        if "options" in data and kinds != ["template"]:
            raise self._document.error((*at, "options"), "options are for jobs from a template", at_key=True)
        if service and "template" in data:  # the schema has templates only among the jobs of a service
            name = data["template"]
            if name == UNDEPLOY_GONE and service.git is None:
                raise self._document.error(
                    (*at, "template"),
                    f"{name} needs a git of the service {service.name}: its branches are those that are not gone",
                    "give git: {url: …} beside the service's name",
                )
            return Template(name, service, data.get("options", {}), self._template_file(name, (*at, "template")))
        if kinds == ["scm"]:
            return self._scm(data["scm"], (*at, "scm"), service)
        return str(data["script"]) if kinds == ["script"] else self._file(data["scriptFile"], (*at, "scriptFile"))

    def _template_file(self, name: str, at: yaml_positions.Path) -> Path | None:
        if name in TEMPLATES:
            return None
        if (self._folder / name).is_file():
            return self._folder / name
        raise self._document.error(
            at,
            f"there is no template {name!r}",
            f"ours: {', '.join(TEMPLATES)}; or a file, its path relative to the seed file",
        )

    def _scm(self, data: Mapping[str, Any], at: yaml_positions.Path, service: Service | None) -> Scm:
        git = _git(data) if "url" in data else service.git if service else None
        if git is None:
            raise self._document.error(at, "scm has no url, and no service with a git around it", at_key=True)
        return Scm(git, data.get("scriptPath", "Jenkinsfile"), data.get("lightweight", True))

    def _file(self, name: str, at: yaml_positions.Path) -> str:
        try:
            return schema.clean((self._folder / name).read_text(encoding="utf-8"), self._document, at)
        except (OSError, UnicodeDecodeError) as error:
            raise self._document.error(at, f"cannot read {name}: {error}") from error

    def _parameters(
        self, data: Sequence[Mapping[str, Any]] | None, at: yaml_positions.Path, source: Any
    ) -> tuple[Parameter, ...] | None:
        if data is None and isinstance(source, Scm):
            return None
        found = [
            self._mistakes.gather(functools.partial(self._parameter, item, (*at, index)))
            for index, item in enumerate(data or ())
        ]
        parameters = [parameter for parameter in found if parameter]
        for index, item in enumerate(data or ()):
            if item["name"] in [other["name"] for other in (data or ())[:index]]:
                self._mistakes.keep(self._document.error((*at, index), f"the parameter {item['name']} is given twice"))
        scales = isinstance(source, Template) and source.name == "scale"
        if scales and "SCALE" not in [parameter.name for parameter in parameters]:
            parameters.append(Parameter("SCALE", default="1", description="how many instances: 3, +1 or -1"))
        return tuple(parameters)

    def _parameter(self, data: Mapping[str, Any], at: yaml_positions.Path) -> Parameter:
        kind, default, choices = data.get("type", "string"), data.get("default"), data.get("choices", [])
        if (kind == "choice") != bool(choices):
            raise self._document.error(at, "choices are for parameters of type choice, which need them")
        if default is not None and isinstance(default, bool) != (kind == "boolean"):
            raise self._document.error((*at, "default"), f"a {kind} parameter cannot begin as {default!r}")
        if choices and default is not None:
            if default not in choices:
                raise self._document.error((*at, "default"), f"{default!r} is not among the choices")
            # Jenkins takes the first choice as the default.
            choices = [default, *(choice for choice in choices if choice != default)]
        shown = str(default or False).lower() if kind == "boolean" else default or ""
        return Parameter(data["name"], kind, shown, tuple(choices), data.get("description", ""))

    def _view(self, data: Mapping[str, Any], at: yaml_positions.Path) -> View:
        path = "/".join(filter(None, (data.get("folder", ""), data["name"])))
        self._take("view", path, (*at, "name"))
        return View(path, data.get("description", ""), tuple(data.get("jobs", ())), data.get("regex", ""))

    def _take(self, kind: str, path: str, at: yaml_positions.Path) -> None:
        # Jenkins keeps names that differ only in case apart on some disks and not on others.
        other = self._taken.setdefault((kind, path.lower()), self._document.place(at))
        if other != self._document.place(at):
            self._mistakes.keep(self._document.error(at, f"{path!r} is already taken at {other}"))


def _service(data: Mapping[str, Any]) -> Service:
    return Service(
        name=data["name"],
        path=_texts(data.get("path", ())),
        compose_files=_texts(data.get("composeFile", ())),
        project=data.get("project", ""),
        agent=data.get("agent", "docker"),
        git=_git(data["git"]) if "git" in data else None,
        options=data.get("options", {}),
    )


def _git(data: Mapping[str, Any]) -> Git:
    return Git(data["url"], data.get("branch", "master"), data.get("credentialsId", ""))


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)

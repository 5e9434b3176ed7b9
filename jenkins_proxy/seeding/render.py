"""From a spec to the config.xml of each item. Pure: the same spec gives the same text, wherever it runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jinja2

from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.resources import resource
from jenkins_proxy.seeding import config_xml
from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW, Item, marked
from jenkins_proxy.seeding.spec import UNDEPLOY_GONE, Folder, Job, Scm, Spec, Template, View


def items(spec: Spec) -> list[Item]:
    """Everything in the order in which it can be created: folders, parents first; jobs; views.

    :raises UsageError: for templates that cannot be rendered, all of them.
    """
    environment = _environment()
    problems = Problems()
    jobs = [problems.gather(functools.partial(_job, environment, spec, job)) for job in spec.jobs]
    problems.raise_any()
    return [
        *(_folder(environment, spec, folder) for folder in spec.folders),
        *(job for job in jobs if job),
        *(_view(environment, spec, view) for view in spec.views),
    ]


def text(template: str, **values: Any) -> str:
    """One of our other templates, rendered."""
    return _environment().get_template(template).render(**values)


def groovy(value: Any) -> str:
    """A value as a Groovy literal: a single-quoted string interpolates nothing.

    >>> groovy("it's $HOME")
    "'it\\\\'s $HOME'"
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(groovy(item) for item in value)}]"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"'{escaped}'"


@functools.cache
def _environment(folder: str = "") -> jinja2.Environment:
    places = [folder] if folder else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*places, str(resource("seeding"))]),
        # Jinja2's own default does not know that `job.xml.j2` is XML. Groovy and YAML have filters that quote.
        autoescape=jinja2.select_autoescape(enabled_extensions=("xml", "xml.j2"), default_for_string=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["groovy"] = groovy
    return environment


def _folder(environment: jinja2.Environment, spec: Spec, folder: Folder) -> Item:
    xml = environment.get_template("folder.xml.j2").render(description=marked(folder.description or "", spec.seed))
    return Item(FOLDER, folder.path, config_xml.parse(xml), only_present=folder.description is None)


def _view(environment: jinja2.Environment, spec: Spec, view: View) -> Item:
    name = view.path.rpartition("/")[2]
    xml = environment.get_template("view.xml.j2").render(
        view=view, name=name, description=marked(view.description, spec.seed)
    )
    return Item(VIEW, view.path, config_xml.parse(xml))


def _job(environment: jinja2.Environment, spec: Spec, job: Job) -> Item:
    xml = environment.get_template("job.xml.j2").render(
        job=job,
        description=marked(job.description, spec.seed),
        scm=job.source if isinstance(job.source, Scm) else None,
        script=_script(environment, spec, job),
    )
    managed = set()
    if job.parameters is not None:
        managed.add(config_xml.PARAMETERS)
    if job.triggers is not None:
        managed.add(config_xml.TRIGGERS)
    return Item(JOB, job.path, config_xml.parse(xml), frozenset(managed))


def _script(environment: jinja2.Environment, spec: Spec, job: Job) -> str:
    if not isinstance(job.source, Template):
        return job.source if isinstance(job.source, str) else ""
    template = job.source
    name = f"pipelines/{template.name}.groovy.j2"
    if template.file:
        environment, name = _environment(str(template.file.parent)), template.file.name
    try:
        return environment.get_template(name).render(
            library=spec.library,
            variables=spec.variables,
            service=template.service,
            options=template.options,
            arguments=_arguments(template),
            job=job,
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise UsageError(f"{job.place}: the template {template.name} fails: {error}") from error


def _arguments(template: Template) -> Mapping[str, Any]:
    """What a step is called with, without what the service does not have."""
    service = template.service
    arguments: dict[str, Any] = {"serviceName": service.name}
    if template.name == UNDEPLOY_GONE:
        # The script names the services, and the project of a branch is all its own.
        arguments = {"withSides": True}
    elif template.name != "remove":
        arguments["project"] = service.project
    if template.name not in ("remove", "undeploy", UNDEPLOY_GONE):
        path, files = _one_or_all(service.path), _one_or_all(service.compose_files)
        arguments = {"serviceName": service.name, "servicePath": path, "composeFile": files, **arguments}
    return {**{name: value for name, value in arguments.items() if value}, **service.options, **template.options}


def _one_or_all(values: tuple[str, ...]) -> str | tuple[str, ...]:
    return values[0] if len(values) == 1 else values

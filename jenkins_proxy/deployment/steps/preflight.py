"""Is everything there? Every problem in one answer, before anything is touched."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.deployment import compose_defaults
from jenkins_proxy.deployment.compose_defaults import Defaults
from jenkins_proxy.deployment.context import BLUE_GREEN, RECREATE, Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps import feasible, neighbours, proxy_route
from jenkins_proxy.errors import DeployFailed, JenkinsProxyError, Problems, RegistryError, UsageError
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator import detect, project_name
from jenkins_proxy.orchestrator.base import COLORS, STACK, Orchestrator, color_project
from jenkins_proxy.orchestrator.project import ComposeProject, Service, Sides
from jenkins_proxy.orchestrator.runner import file_arguments
from jenkins_proxy.route_options.labels import with_labels

_Found = tuple[Orchestrator, ComposeProject, Service, Sides]


def check(options: DeployOptions, context: Context, *, starts: bool = False, dry_run: bool = False) -> Ready:
    """Look at everything that the options need; nothing is changed, but that a missing image is pulled.

    :param starts: whether the containers of a new version are to be started.
    :param dry_run: pull nothing.

    :raises UsageError: when an option is wrong, or a compose file.
    :raises RemoteError: when nothing is wrong with the options, but the engine, registry or proxy does not answer.
    """
    problems = Problems()
    service_is_good = problems.gather(lambda: validation.check_service(options.service)) is not None
    # The project's name may be made from the service's: one mistake must not be two problems.
    looked_for = options if service_is_good else dataclasses.replace(options, project="x")
    problems.gather(lambda: _check_hold(options, context))
    of_the_project = Problems()
    found = _check_orchestrator(looked_for, context, of_the_project)
    route = _complete_route(options, found[2] if found else None, problems)
    problems.add(of_the_project)
    defaults = Defaults(options)
    adopted: tuple[Container, ...] = ()
    if found and starts and service_is_good:
        defaults, adopted = _check_project(options, context, found, problems, dry_run=dry_run)
    elif found:
        defaults = _defaults(options, context, found, running=0)
    problems.gather(lambda: _check_registry(context))
    preview = None
    if options.route is not None:
        preview = problems.gather(lambda: _check_proxy(context, route))
    problems.raise_any()
    if found is None:  # a bug: what is missing was gathered with its reason
        raise JenkinsProxyError("preflight found no orchestrator, and no reason for that")
    orchestrator, project, target, sides = found
    if route is not None:
        _warn_of_routed(context, project, sides.others)
    completed = dataclasses.replace(defaults.options, route=route)
    return Ready(
        orchestrator, project, target, preview or {}, route, adopted, sides, completed, defaults.seconds, defaults.words
    )


def _warn_of_routed(context: Context, project: ComposeProject, others: Sequence[str]) -> None:
    """Say which of the other targets users reach through the proxy: only the first target's are moved."""
    for name in others:
        served = feasible.metadata(project.services[name], {}).get("name", "")
        if served and context.proxy.get_route(served):
            context.console.warning(
                f"{name} is {served} to the proxy's users, who meet a gap: deploy {served} by itself to spare them"
            )


def _defaults(options: DeployOptions, context: Context, found: _Found, *, running: int) -> Defaults:
    """What the compose file says of the options; said in one line.

    :param running: how many of the target's containers run.
    """
    orchestrator, _, target, _ = found
    swarm = orchestrator.name == STACK
    defaults = compose_defaults.complete(
        options, target, running=running, swarm=swarm, timeout=context.deadline.seconds
    )
    if defaults.words:
        context.console.step(defaults.words)
    return defaults


def _complete_route(options: DeployOptions, target: Service | None, problems: Problems) -> Route | None:
    """The route with what the target's labels say; None without one, or when it is wrong: that is gathered."""
    route = options.route
    if route is None:
        if options.strategy == BLUE_GREEN:
            problems.gather(_refuse_blue_green)
        return None
    labels = target.labels if target else {}
    return problems.gather(
        lambda: proxy_route.check_route(with_labels(route, labels, options.route_given), options.check)
    )


def _refuse_blue_green() -> None:
    raise UsageError("--strategy blue-green switches a route, and --no-proxy leaves it alone", "give one of them")


def check_holdable(options: DeployOptions, strategy: str, *, serving: int) -> None:
    """Refuse ``--hold`` where there is nothing that it could keep from users.

    :param strategy: the name of the one that was selected.
    :param serving: how many instances serve now.
    :raises UsageError: with the reason.
    """
    if options.hold and strategy == RECREATE and serving:
        raise UsageError(
            "--hold keeps new containers from users, and recreate ends the old ones first: nobody would serve",
            "use a strategy that runs both side by side",
        )


def _check_hold(options: DeployOptions, context: Context) -> None:
    if not options.hold:
        return
    if options.route is None:
        raise UsageError("--hold keeps candidates from the proxy's users, and --no-proxy leaves it alone", "give one")
    if options.others:
        raise UsageError(
            f"--hold keeps the candidates of one target from users, and {', '.join(options.others)} would be at work",
            "deploy it by itself, or leave --hold out",
        )
    if options.batch:
        raise UsageError("--hold tests all candidates at once, and --batch starts some at a time", "give one of them")
    if context.settings.candidate_key:
        return
    if not options.key_file:
        raise UsageError(
            "--hold needs a place for the key with which candidates are reached",
            "give --key-file FILE, or the key itself in JENKINS_PROXY_CANDIDATE_KEY",
        )
    folder = os.path.dirname(os.path.abspath(options.key_file))
    if not os.access(folder, os.W_OK) or os.path.isdir(options.key_file):
        raise UsageError(
            f"--key-file {options.key_file}: cannot be written", "name a file in a folder that is writable"
        )


def _check_orchestrator(options: DeployOptions, context: Context, problems: Problems) -> _Found | None:
    named = problems.gather(
        lambda: project_name.resolve(
            context.settings,
            given=options.project,
            service=options.service,
            files=options.files,
            wanted=options.orchestrator,
        )
    )
    chosen = problems.gather(lambda: _choose(options, context, named.name)) if named else None
    if named is None or chosen is None:
        # Without an orchestrator nobody reads the files, but whether they exist can be said.
        problems.gather(lambda: file_arguments(options.files, "-f"))
        return None
    orchestrator, why = chosen
    context.console.step(f"using {orchestrator.name} {orchestrator.version}: {why}")
    context.console.step(f"project {named.name}: {named.reason}")
    project = problems.gather(orchestrator.validate)
    if project is None:
        return None
    target = problems.gather(lambda: project.target(options.target))
    if target is None:
        return None
    if options.target not in ("", target.name):
        context.console.step(f"target {target.name}: {options.target} lives in its network, and it publishes the port")
    if options.build and orchestrator.name == STACK:
        problems.gather(_refuse_build)
    sides = problems.gather(
        lambda: project.sides(target.name, options.sides, every=options.with_sides, others=options.others)
    )
    return (orchestrator, project, target, sides) if sides else None


def _refuse_build() -> None:
    raise UsageError("a stack builds no images: its nodes pull them", "docker compose build and push, without --build")


def _check_project(
    options: DeployOptions,
    context: Context,
    found: _Found,
    problems: Problems,
    *,
    dry_run: bool,
) -> tuple[Defaults, tuple[Container, ...]]:
    """Whether engine and registry let the project have what is asked for.

    :return: the options with what the file says, and the containers of others that the deploy takes over.
    """
    orchestrator, project, target, sides = found
    survey = problems.gather(lambda: orchestrator.survey(target.name, *sides.others))
    if survey is None:
        return Defaults(options), ()
    projects = {color_project(orchestrator.project, color) for color in ("", *COLORS)}
    old = [c for c in survey.running if c.project in projects and c.service == target.name]
    agent = _agent(context) if feasible.asks_for_the_registry(target, survey.environment) else None
    # Where it does not say it, it says so itself when it is given one.
    scripts = agent is None or bool((agent.get("DebugConfig") or {}).get("EnableRemoteScriptChecks"))
    consul = agent is not None and "DebugConfig" in agent
    defaults = _defaults(options, context, found, running=len(old))
    options = defaults.options
    for problem in feasible.problems(
        options, target, survey, old, kind=orchestrator.name, scripts=scripts, consul=consul
    ):
        problems.keep(problem)
    for note in filter(None, (feasible.replicas_note(target, len(old), options.scale),)):
        context.console.step(note)
    if survey.newer_build and not options.build:
        context.console.warning(
            f"{survey.newer_build} is a newer build of {target.name} than this project's own: --build"
        )
    for image in survey.missing_images:
        if dry_run:
            context.console.step(f"image {image} is not on the engine: it would be pulled")
        else:
            names = [n for n in project.closure(target.name, *sides.others) if project.services[n].image == image]
            targets = (target.name, *sides.others)
            problems.gather(functools.partial(_pull, orchestrator, names, image, targets, context))
    taken = problems.gather(lambda: neighbours.check(options, context, survey.running, projects, target.name))
    return defaults, taken or ()


def _pull(orchestrator: Orchestrator, names: list[str], image: str, targets: Sequence[str], context: Context) -> None:
    try:
        orchestrator.pull(names, deadline=context.deadline)
    except DeployFailed as error:
        raise UsageError(error.message, error.hint) from error
    if image in orchestrator.survey(*targets).missing_images:
        raise UsageError(f"image {image} is not on the engine, and compose does not pull it", "see its pull_policy")


def _agent(context: Context) -> dict[str, Any] | None:
    """What the registry tells of itself; None where it does not, as to callers without the rights for it."""
    try:
        return context.registry.agent()
    except RegistryError:
        return None


def _choose(options: DeployOptions, context: Context, project: str) -> tuple[Orchestrator, str]:
    return detect.choose_readable(
        context.settings,
        context.console,
        project=project,
        files=options.files,
        wanted=options.orchestrator,
        profiles=options.profiles,
        targets=[name for name in (options.target, *options.others) if name],
    )


def _check_registry(context: Context) -> None:
    if not context.registry.leader():
        raise RegistryError(
            f"the registry at {context.settings.consul} has no leader", "it answers, but takes no entries: see its log"
        )
    lacking = context.registry.missing_rights(rights.DEPLOY)
    if lacking:
        raise RegistryError(*rights.lack(rights.DEPLOY, lacking))


def _check_proxy(context: Context, route: Route | None) -> dict[str, Any]:
    """A dry run shows at once whether the daemon answers, knows our token and would take the route."""
    if route is None:
        return context.proxy.health()
    return context.proxy.put_route(route, allow_empty=True, dry_run=True, timeout=min(10.0, context.deadline.remaining))

"""Is everything there? Every problem in one answer, before anything is touched."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from jenkins_proxy import route_options, validation
from jenkins_proxy.deployment.context import BLUE_GREEN, RECREATE, Check, Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps.probe import names_page
from jenkins_proxy.errors import JenkinsProxyError, RegistryError, RemoteError, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Service, Sides

Result = TypeVar("Result")


class Problems:
    """Collects errors, so that the reader sees them all at once."""

    def __init__(self) -> None:
        self._found: dict[str, JenkinsProxyError] = {}

    def gather(self, action: Callable[[], Result]) -> Result | None:
        """The action's result, or None when it ended with an error, which is kept."""
        try:
            return action()
        except (UsageError, RemoteError) as error:
            self._found.setdefault(error.message, error)
            return None

    def add(self, others: Problems) -> None:
        """Take over what others have gathered."""
        for message, error in others._found.items():
            self._found.setdefault(message, error)

    def raise_any(self) -> None:
        """Raise what was gathered as one error; wrong usage comes before remotes that do not answer."""
        found = sorted(self._found.values(), key=lambda error: error.exit_code)
        if not found:
            return
        if len(found) == 1:
            raise found[0]
        message = " ".join(f"({number}) {error.message}" for number, error in enumerate(found, 1))
        hint = " ".join(f"({number}) {error.hint}" for number, error in enumerate(found, 1) if error.hint)
        raise type(found[0])(f"{len(found)} problems: {message}", hint)


def check(options: DeployOptions, context: Context) -> Ready:
    """Look at everything that the options need; nothing is changed.

    :raises UsageError: when an option is wrong, or a compose file.
    :raises RemoteError: when nothing is wrong with the options, but the engine, registry or proxy does not answer.
    """
    problems = Problems()
    service_is_good = problems.gather(lambda: validation.check_service(options.service)) is not None
    # The project's name is made from the service's: one mistake must not be two problems.
    looked_for = options if service_is_good else dataclasses.replace(options, project="x")
    problems.gather(lambda: _check_hold(options, context))
    of_the_project = Problems()
    found = _check_orchestrator(looked_for, context, of_the_project)
    route = _complete_route(options, found[2] if found else None, problems)
    problems.add(of_the_project)
    problems.gather(lambda: _check_registry(context))
    preview = None
    if options.route is not None:
        preview = problems.gather(lambda: _check_proxy(context, route))
    problems.raise_any()
    if found is None:  # a bug: what is missing was gathered with its reason
        raise JenkinsProxyError("preflight found no orchestrator, and no reason for that")
    orchestrator, project, target, sides = found
    return Ready(orchestrator, project, target, preview or {}, route, sides)


def _complete_route(options: DeployOptions, target: Service | None, problems: Problems) -> Route | None:
    """The route with what the target's labels say; None without one, or when it is wrong: that is gathered."""
    route = options.route
    if route is None:
        if options.strategy == BLUE_GREEN:
            problems.gather(_refuse_blue_green)
        return None
    labels = target.labels if target else {}
    return problems.gather(
        lambda: check_route(route_options.with_labels(route, labels, options.route_given), options.check)
    )


def _refuse_blue_green() -> None:
    raise UsageError("--strategy blue-green switches a route, and --no-proxy leaves it alone", "give one of them")


def check_route(route: Route, check: Check) -> Route:
    """A route whose every value is good, and whose instances can be asked for a page.

    :return: the route.
    :raises UsageError: for a value that its grammar does not allow, or a route that names no page.
    """
    route_options.check_route(route, route_options.CLI_WORDS)
    check_page(check)
    if not (check.path or route.check_path or names_page(route)):
        raise UsageError(
            f"--path {route.paths[0][:80]!r} with --path-type {route.path_type} names no page to probe",
            "give --check-path: a path that the route matches and the service answers",
        )
    return route


def check_page(check: Check) -> None:
    """A check whose values can stand in a request.

    :raises UsageError: when one cannot.
    """
    if check.path:
        validation.check_page(check.path, "--check-path")
    if check.host:
        validation.check_domain(check.host, "--check-host")


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


def _check_orchestrator(
    options: DeployOptions, context: Context, problems: Problems
) -> tuple[Orchestrator, ComposeProject, Service, Sides] | None:
    chosen = problems.gather(
        lambda: detect.choose(
            context.settings, context.console, project=options.project, files=options.files, wanted=options.orchestrator
        )
    )
    if chosen is None:
        # Without an orchestrator nobody reads the files, but whether they exist can be said.
        for file in options.files:
            problems.gather(functools.partial(_check_file, file))
        return None
    orchestrator, why = chosen
    context.console.step(f"using {orchestrator.name} {orchestrator.version}: {why}")
    project = problems.gather(orchestrator.validate)
    if project is None:
        return None
    target = problems.gather(lambda: project.target(options.target))
    if target is None:
        return None
    sides = problems.gather(lambda: project.sides(target.name, options.sides, every=options.with_sides))
    return (orchestrator, project, target, sides) if sides else None


def _check_file(file: str) -> None:
    if not os.path.isfile(file):
        raise UsageError(f"the compose file {file} is not there")


def _check_registry(context: Context) -> None:
    if not context.registry.leader():
        raise RegistryError(
            f"the registry at {context.settings.consul} has no leader", "it answers, but takes no entries: see its log"
        )


def _check_proxy(context: Context, route: Route | None) -> dict[str, Any]:
    """A dry run shows at once whether the daemon answers, knows our token and would take the route."""
    if route is None:
        return context.proxy.health()
    return context.proxy.put_route(route, allow_empty=True, dry_run=True, timeout=min(10.0, context.deadline.remaining))

"""What the shared options give: the types of their values, and what a command makes of them all."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jenkins_proxy.clients.notification import Notifier
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Check, Context, DeployOptions, Statuses
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.timing import ALL, Timing
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS
from jenkins_proxy.settings import Settings
from jenkins_proxy.signals import undisturbed

TIMEOUT = 120.0
"""The usual time limit of a command, in seconds."""
_FROM_FILE = ("batch", "batch_delay", "check_timeout", "timeout")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def check(args: argparse.Namespace) -> Check:
    """How an instance proves itself, from the options of :func:`~jenkins_proxy.cli.arguments.shared.add_check`."""
    path = args.probe_path or args.check_path or ""
    timeout = Check().timeout if args.check_timeout is None else args.check_timeout
    return Check(path, args.check_status, args.check_host, timeout, args.check_count)


def context(args: argparse.Namespace, settings: Settings, console: Console, phases: Phases) -> Context:
    """The clients that the command uses, and its time limits."""
    usual = Timing()
    timing = Timing(
        drain=getattr(args, "drain", usual.drain), drain_streams=getattr(args, "drain_streams", usual.drain_streams)
    ).for_proxies(getattr(args, "proxies", ALL))
    seconds = TIMEOUT if args.timeout is None else args.timeout
    return Context.from_settings(settings, console, seconds, phases, timing)


def notifier(settings: Settings, console: Console) -> Callable[[Mapping[str, Any]], None] | None:
    """What tells the URL of the settings the report of a command; None where there is none.

    :raises UsageError: for one that is no address.
    """
    if not settings.notify:
        return None
    to = Notifier(settings.notify)

    def tell(report: Mapping[str, Any]) -> None:
        # What was done is done, and is not to be called stopped.
        with undisturbed():
            reason = to.tell(report)
        if reason:
            console.warning(f"{to.name} was not notified: {reason}")
        else:
            console.step(f"notified {to.name}")

    return tell


def route(args: argparse.Namespace) -> Route:
    """The route that the options describe; not checked, and perhaps without paths and domains."""
    return Route(args.service, **_route_values(args))


def request(args: argparse.Namespace, route: Route | None = None) -> DeployOptions:
    """The request of a command that has compose options.

    :param route: the one to serve; None leaves the proxy alone.
    """
    check_project(args)
    named = targets(args.target)
    return DeployOptions(
        service=args.service,
        project=args.project or "",
        profiles=tuple(args.profile),
        files=tuple(args.file),
        route=route,
        route_given=frozenset(_route_values(args)),
        target=named[0] if named else "",
        others=named[1:],
        given=frozenset(name for name in _FROM_FILE if getattr(args, name, None) is not None),
        orchestrator=args.orchestrator,
        settle=args.settle,
        lock_timeout=args.lock_timeout,
        check=check(args),
        max_errors=args.max_errors,
    )


def check_project(args: argparse.Namespace) -> None:
    """:raises UsageError: for an empty ``-p``: a variable that somebody forgot."""
    if args.project == "":
        raise UsageError("-p is empty", "name a project, or leave -p out")


def deploy_options(args: argparse.Namespace, settings: Settings) -> DeployOptions:
    """The request of a command that has all of :func:`~jenkins_proxy.cli.arguments.shared.add_deploy`."""
    return dataclasses.replace(
        request(args, None if args.no_proxy else route(args)),
        sides=tuple(args.side),
        with_sides=args.with_sides,
        scale=args.scale,
        strategy=args.strategy,
        pull=args.pull,
        build=args.build,
        adopt=args.adopt,
        batch=args.batch or 0,
        batch_delay=args.batch_delay or 0.0,
        keep_old=args.keep_old,
        hold=args.hold,
        hold_timeout=args.hold_timeout,
        key_file="" if settings.candidate_key else args.key_file,
    )


def _route_values(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of the route that are given."""
    values = {option: getattr(args, option.name) for option in OPTIONS if option.cli}
    return {
        option.name: tuple(item for text in value for item in option.parse(text)) if option.kind is Kind.LIST else value
        for option, value in values.items()
        if value is not None
    }


def targets(given: Sequence[str]) -> tuple[str, ...]:
    """The compose services that are named, each once: ``app,worker`` is two.

    :raises UsageError: for an empty name among them.
    """
    names = [name.strip() for value in given for name in value.split(",")]
    if len(names) > 1 and not all(names):
        raise UsageError("--target has an empty name", "name a compose service with each, or leave it out")
    return tuple(dict.fromkeys(name for name in names if name))


def statuses(text: str) -> Statuses:
    """HTTP status codes: ``200-399,401``."""
    try:
        return Statuses.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def whole(text: str) -> int:
    """A whole number, which may be 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number")
    return int(text)


def amount(text: str) -> str:
    """A number of instances, or of how many more or fewer: ``3``, ``+2``, ``-1``."""
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of instances: give 3, +2 or -1")
    return text


def positive(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number above 0")
    return int(text)


def time_limit(text: str) -> float:
    """A number of seconds above 0: ``90``, ``1.5``."""
    if not _SECONDS.fullmatch(text) or float(text) == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds above 0")
    return float(text)


def seconds(text: str) -> float:
    """A number of seconds, which may be 0."""
    if not _SECONDS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds")
    return float(text)

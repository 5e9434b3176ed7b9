"""The options that several commands share, and what becomes of them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from jenkins_proxy import validation
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import AUTO, STRATEGIES, Context, DeployOptions
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.settings import Settings

_TIMEOUT = 120.0
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def add_service(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    parser.add_argument(
        "service", metavar="SERVICE", nargs="?" if optional else None, help="the service's name in the registry"
    )


def add_compose(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what runs")
    group.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="compose file; given again, the later one wins (default: the one that compose finds)",
    )
    group.add_argument(
        "-p", "--project", metavar="PROJECT", help="compose project or stack (default: the service's name)"
    )
    group.add_argument(
        "--target",
        default="",
        metavar="NAME",
        help="compose service that holds the instances (default: the one that publishes a port)",
    )
    group.add_argument(
        "--orchestrator",
        default=detect.AUTO,
        choices=(detect.AUTO, *detect.NAMES),
        help="what brings containers up (default: found by probing)",
    )


def add_route(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what leads to it")
    group.add_argument("--path", action="append", default=[], metavar="P[,P...]", help="paths that lead to the service")
    group.add_argument(
        "--domain",
        action="append",
        default=[],
        metavar="D[,D...]",
        help="domains that do: example.com and below, *.example.com only below",
    )
    group.add_argument(
        "--path-type",
        default="path_beg",
        metavar="TYPE",
        help=f"how paths match: {', '.join(validation.PATH_TYPES)} (default: path_beg)",
    )
    group.add_argument(
        "--slow-start",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="let a new instance come to its full share of the requests within (default: 0, at once)",
    )
    add_probe_path(group)


def add_probe_path(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--probe-path", default="", metavar="P", help="what to request as the proof (default: the first path)"
    )


def add_strategy(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the new replaces the old")
    group.add_argument(
        "--strategy", default=AUTO, choices=STRATEGIES, help="auto: rolling where the target allows it, else recreate"
    )
    group.add_argument(
        "--batch",
        type=positive,
        default=0,
        metavar="N",
        help="rolling: how many containers to replace at a time (default: all)",
    )
    group.add_argument("--keep-old", action="store_true", help="blue-green: leave the other color running")


def add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how long")
    add_timeout(group)
    group.add_argument(
        "--settle",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="steady health before an instance counts (default: 0)",
    )


def add_timeout(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--timeout",
        type=time_limit,
        default=_TIMEOUT,
        metavar="SECONDS",
        help=f"for the whole command (default: {_TIMEOUT:g})",
    )


def add_lock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-timeout",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait for another deploy of the service to end (default: 0, say who holds it)",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", default="", metavar="FILE", help="write the result as JSON to FILE, not to stdout")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON even on a terminal, or with --report"
    )


def context(args: argparse.Namespace, settings: Settings, console: Console) -> Context:
    """What the command speaks to, within its ``--timeout``."""
    return Context.from_settings(settings, console, args.timeout)


def route(args: argparse.Namespace) -> Route:
    """The route that the options tell; unchecked, and perhaps without paths and domains."""
    return Route(args.service, _commas(args.path), _commas(args.domain), args.path_type, slow_start=args.slow_start)


def request(args: argparse.Namespace, **more: object) -> DeployOptions:
    """The request of a command that has compose options.

    :param more: the fields of :class:`DeployOptions` that only this command has.
    """
    return DeployOptions(
        service=args.service,
        project=project_name(args.service) if args.project is None else args.project,
        files=tuple(args.file),
        target=args.target,
        orchestrator=args.orchestrator,
        settle=args.settle,
        lock_timeout=args.lock_timeout,
        probe_path=args.probe_path,
        **more,
    )


def project_name(service: str) -> str:
    """The project of a service that names none: not the folder's name, as a Jenkins workspace may be ``job@2``."""
    return re.sub(r"[^a-z0-9_-]", "", service.lower()).lstrip("_-")


def _commas(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for value in values for word in value.split(",") if word)


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

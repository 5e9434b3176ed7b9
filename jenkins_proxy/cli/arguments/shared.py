"""The options that several commands share."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli.arguments.values import TIMEOUT, positive, seconds, statuses, time_limit, whole
from jenkins_proxy.deployment.context import AUTO, HOLD_TIMEOUT, STRATEGIES, Check
from jenkins_proxy.deployment.timing import ALL, PROXIES, Timing
from jenkins_proxy.orchestrator import base
from jenkins_proxy.route_options.option import Kind, RouteOption
from jenkins_proxy.route_options.table import OPTIONS

LONGER = ", longer by the start_period of the compose file"
"""What the default of ``--timeout`` also depends on where containers are started."""


def add_deploy(parser: argparse.ArgumentParser) -> None:
    """All that says what a deploy is, which ``promote`` and ``abort`` take as well."""
    add_service(parser)
    add_compose(parser, several=True)
    add_sides(parser)
    parser.add_argument("--scale", type=positive, metavar="N", help="number of instances (default: as many as run now)")
    parser.add_argument("--pull", action="store_true", help="pull the images first")
    parser.add_argument("--build", action="store_true", help="build the images first")
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="replace the containers of another project that are registered under the service's name",
    )
    add_route(parser)
    parser.add_argument("--no-proxy", action="store_true", help="do not touch the proxy: only deploy and wait")
    add_strategy(parser)
    add_check(parser)
    add_hold(parser)
    add_users(parser)
    add_limits(parser, LONGER)
    add_lock(parser)
    add_report(parser)


def add_service(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    parser.add_argument(
        "service", metavar="SERVICE", nargs="?" if optional else None, help="the service's name in the registry"
    )


def add_compose(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """:param several: whether the command takes more than one target."""
    group = parser.add_argument_group("compose")
    group.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="compose file; repeatable, later ones win (default: the one that compose finds)",
    )
    group.add_argument(
        "-p",
        "--project",
        metavar="PROJECT",
        help="compose project or stack (default: COMPOSE_PROJECT_NAME, the name: of the files, the project that runs "
        "them, or the service's name)",
    )
    group.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        help="compose profile to enable, beside those of the target; repeatable",
    )
    first = "compose service whose containers are the instances"
    found = "(default: the one that publishes a port)"
    group.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{first}; repeatable: the others are deployed with the first, and reverted with it {found}"
        if several
        else f"{first} {found}",
    )
    add_orchestrator(group)


def add_orchestrator(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--orchestrator",
        default=base.AUTO,
        choices=(base.AUTO, *base.NAMES),
        help="what runs the containers (default: detected)",
    )


def add_sides(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("other services of the compose file")
    group.add_argument(
        "--side",
        action="append",
        default=[],
        metavar="NAME",
        help="bring this service to what the file says, too; repeatable (default: the target, and what it needs and "
        "does not run)",
    )
    group.add_argument("--with-sides", action="store_true", help="bring all services of the file to what it says")


def add_route(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("route")
    for option in OPTIONS:
        if option.cli:
            _add_route_option(group, option)


def _add_route_option(group: argparse._ArgumentGroup, option: RouteOption) -> None:
    """Without a default: what is not given may come from a label in the compose file."""
    text = option.meaning + (f": {', '.join(option.choices)}" if option.choices else "")
    if option.kind is Kind.LIST:
        group.add_argument(option.cli, action="append", dest=option.name, metavar=option.metavar, help=text)
    elif option.kind is Kind.FLAG:
        group.add_argument(option.cli, action="store_true", default=None, dest=option.name, help=text)
    else:
        kind = seconds if option.kind is Kind.SECONDS else str
        text += f" (default: {option.default_text})" if option.default_text else ""
        group.add_argument(option.cli, type=kind, dest=option.name, metavar=option.metavar, help=text)


def add_check(parser: argparse.ArgumentParser, *, path: bool = False) -> None:
    """How an instance proves itself.

    :param path: whether the command has no route options: ``--check-path`` is one of these.
    """
    group = parser.add_argument_group("check of new instances")
    if path:
        group.add_argument(
            "--check-path", default=None, metavar="P", help="path to request when verifying (default: the route's)"
        )
    group.add_argument("--probe-path", default="", metavar="P", help="older name of --check-path, for verifying only")
    group.add_argument(
        "--check-status",
        type=statuses,
        default=Check().statuses,
        metavar="CODES",
        help=f"what is a good answer (default: {Check().statuses})",
    )
    group.add_argument("--check-host", default="", metavar="H", help="Host header (default: the route's first domain)")
    group.add_argument(
        "--check-timeout",
        type=time_limit,
        default=None,
        metavar="SECONDS",
        help=f"time for each to answer well (default: {Check().timeout:g}, or the start_period of the compose file; a "
        "fifth of it once it answers with errors)",
    )
    group.add_argument(
        "--check-count",
        type=positive,
        default=Check().count,
        metavar="N",
        help=f"good answers in a row that it takes (default: {Check().count})",
    )


def add_users(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("users meanwhile")
    add_proxies(group)
    add_drain(group)
    group.add_argument(
        "--max-errors",
        type=whole,
        default=None,
        metavar="N",
        help="fail when more of the users' requests than N have failed meanwhile (default: they are only counted)",
    )


def add_drain(group: argparse._ActionsContainer) -> None:
    """How long the requests of users may take on an instance that goes."""
    group.add_argument(
        "--drain",
        type=seconds,
        default=Timing().drain,
        metavar="SECONDS",
        help=f"time for requests in flight on an instance that goes (default: {Timing().drain:g})",
    )
    group.add_argument(
        "--drain-streams",
        type=seconds,
        default=Timing().drain_streams,
        metavar="SECONDS",
        help=f"of that for websockets and streams, which are cut then (default: {Timing().drain_streams:g})",
    )


def add_proxies(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--proxies",
        default=ALL,
        choices=PROXIES,
        help="all: wait until every live proxy serves a change; any: until the asked one does. Who lags is named "
        f"(default: {ALL})",
    )


def add_hold(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("test in between")
    group.add_argument(
        "--hold", action="store_true", help="end once the new instances are verified; promote or abort goes on"
    )
    group.add_argument(
        "--hold-timeout",
        type=time_limit,
        default=HOLD_TIMEOUT,
        metavar="SECONDS",
        help=f"how long they may be held (default: {HOLD_TIMEOUT:g})",
    )
    group.add_argument(
        "--key-file",
        default="",
        metavar="FILE",
        help="where to write the key with which they are reached, unless JENKINS_PROXY_CANDIDATE_KEY gives it",
    )


def add_strategy(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("strategy")
    group.add_argument(
        "--strategy", default=AUTO, choices=STRATEGIES, help="auto: rolling where the target allows it, else recreate"
    )
    group.add_argument(
        "--batch",
        type=whole,
        default=None,
        metavar="N",
        help="rolling: number of containers to replace at a time, 0 for all (default: as the compose file's "
        "update_config says, else all)",
    )
    group.add_argument(
        "--batch-delay",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="rolling: pause between two batches (default: as update_config says, else none)",
    )
    group.add_argument("--keep-old", action="store_true", help="blue-green: keep the other color running")


def add_limits(parser: argparse.ArgumentParser, more: str = "") -> None:
    """:param more: what the time limit's default also depends on, in words."""
    group = parser.add_argument_group("time limits")
    add_timeout(group, more)
    group.add_argument(
        "--settle",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long an instance must stay healthy before it counts (default: 0)",
    )


def add_timeout(parser: argparse._ActionsContainer, more: str = "") -> None:
    """Add the limit.

    :param more: what its default also depends on, in words.
    """
    parser.add_argument(
        "--timeout",
        type=time_limit,
        default=None,
        metavar="SECONDS",
        help=f"time limit of the whole command (default: {TIMEOUT:g}{more})",
    )


def add_lock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-timeout",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to wait while another deploy of the service runs (default: 0)",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", default="", metavar="FILE", help="write the result as JSON to FILE, not to stdout")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON even on a terminal, or with --report"
    )

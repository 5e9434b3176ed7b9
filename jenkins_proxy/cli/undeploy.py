"""``undeploy``: take a service away, with what only it needs: its route, containers, networks and entries."""

from __future__ import annotations

import argparse

from jenkins_proxy import __version__
from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    _add_project(parser)
    group = parser.add_argument_group("what goes along")
    group.add_argument(
        "--side",
        action="append",
        default=[],
        metavar="NAME",
        help="this service of the project goes, too; repeatable (default: the target, and what nobody else needs)",
    )
    group.add_argument("--with-sides", action="store_true", help="all services of the project go")
    group.add_argument("--volumes", action="store_true", help="their volumes go, too, and the data in them")
    group.add_argument("--no-proxy", action="store_true", help="do not touch the proxy: the route stays")
    shared.add_drain(parser.add_argument_group("users meanwhile"))
    shared.add_timeout(parser.add_argument_group("time limits"))
    shared.add_lock(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would go, and change nothing")
    shared.add_report(parser)


def _add_project(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("compose")
    group.add_argument(
        "-p",
        "--project",
        metavar="PROJECT",
        help="compose project or stack (default: the one whose containers serve, else as for deploy)",
    )
    group.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="compose file, for what neither labels nor the last deploy say: which services need which, of what a "
        "person has brought up with docker-compose 1.x or as a stack; repeatable",
    )
    group.add_argument("--profile", action="append", default=[], metavar="NAME", help="compose profile to enable")
    group.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="compose service whose containers are the instances; repeatable: the others go with the first (default: "
        "the one that serves)",
    )
    shared.add_orchestrator(group)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    console.step(f"jenkins-proxy {__version__}: undeploy {args.service}")
    values.check_project(args)
    options = UndeployOptions(
        service=args.service,
        project=args.project or "",
        files=tuple(args.file),
        profiles=tuple(args.profile),
        targets=values.targets(args.target),
        sides=tuple(args.side),
        with_sides=args.with_sides,
        orchestrator=args.orchestrator,
        volumes=args.volumes,
        proxy=not args.no_proxy,
        lock_timeout=args.lock_timeout,
    )

    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.undeploy import undeploy

        return undeploy(options, values.context(args, settings, console, phases), dry_run=args.dry_run)

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

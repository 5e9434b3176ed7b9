"""``deploy``: bring a service up, route it, and verify that a new instance answers."""

from __future__ import annotations

import argparse
import dataclasses

from jenkins_proxy import __version__
from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    arguments.add_compose(parser)
    parser.add_argument(
        "--scale", type=arguments.positive, metavar="N", help="number of instances (default: as many as run now)"
    )
    parser.add_argument("--pull", action="store_true", help="pull the images first")
    arguments.add_route(parser)
    parser.add_argument("--no-proxy", action="store_true", help="do not touch the proxy: only deploy and wait")
    arguments.add_strategy(parser)
    arguments.add_limits(parser)
    arguments.add_lock(parser)
    arguments.add_report(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    console.step(f"jenkins-proxy {__version__}: deploy {args.service}")
    options = dataclasses.replace(
        arguments.request(args, None if args.no_proxy else arguments.route(args)),
        scale=args.scale,
        strategy=args.strategy,
        pull=args.pull,
        batch=args.batch,
        keep_old=args.keep_old,
    )

    def command(phases: Phases) -> Outcome:
        # Imported once the first line stands on the console: an HTTP library takes its time to load.
        from jenkins_proxy.deployment.deploy import deploy

        return deploy(options, arguments.context(args, settings, console, phases), dry_run=args.dry_run)

    run_reported(args.service, args.report, command, as_json=args.json)
    return 0

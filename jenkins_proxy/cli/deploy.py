"""``deploy``: bring a service up, route it, and verify that a new instance answers."""

from __future__ import annotations

import argparse
import dataclasses

from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.deploy import deploy
from jenkins_proxy.deployment.report import Report, recording
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
    report = Report(args.service)
    request = dataclasses.replace(
        arguments.request(args, None if args.no_proxy else arguments.route(args)),
        scale=args.scale,
        strategy=args.strategy,
        pull=args.pull,
        batch=args.batch,
        keep_old=args.keep_old,
    )
    with recording(report, args.report, as_json=args.json):
        deploy(request, arguments.context(args, settings, console), report, dry_run=args.dry_run)
    return 0

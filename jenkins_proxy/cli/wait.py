"""``wait``: until the registry shows passing instances of a service, whoever started them."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.report import Report, recording
from jenkins_proxy.deployment.steps import wait
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    parser.add_argument(
        "--instances",
        type=arguments.positive,
        default=1,
        metavar="N",
        help="minimum number of passing instances (default: 1)",
    )
    arguments.add_limits(parser)
    arguments.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report, as_json=args.json):
        validation.check_service(args.service)
        context = arguments.context(args, settings, console)
        with report.phase("wait"):
            report.registered(wait.for_count(context, args.service, args.instances, settle=args.settle))
    return 0

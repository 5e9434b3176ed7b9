"""``wait``: until the registry shows passing instances of a service, whoever started them."""

from __future__ import annotations

import argparse

from jenkins_proxy import grammar
from jenkins_proxy.cli import options
from jenkins_proxy.console import Console
from jenkins_proxy.flow import wait
from jenkins_proxy.flow.report import Report, recording
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_service(parser)
    parser.add_argument(
        "--instances", type=options.positive, default=1, metavar="N", help="at least so many (default: 1)"
    )
    options.add_limits(parser)
    options.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report):
        grammar.check_service(args.service)
        world = options.world(args, settings, console)
        with report.phase("wait"):
            report.registered(wait.for_count(world, args.service, args.instances, settle=args.settle))
    return 0

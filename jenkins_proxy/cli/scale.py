"""``scale``: change how many instances of a service run."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli import options
from jenkins_proxy.console import Console
from jenkins_proxy.flow.report import Report, recording
from jenkins_proxy.flow.scale import scale
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_service(parser)
    parser.add_argument("amount", metavar="N|+N|-N", help="how many instances, or how many more or fewer")
    parser.add_argument("--allow-empty", action="store_true", help="let N be 0")
    options.add_compose(parser)
    options.add_route(parser)
    options.add_limits(parser)
    options.add_lock(parser)
    options.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    route = options.route(args)
    request = options.request(args, route=route if route.paths or route.domains else None)
    with recording(report, args.report):
        scale(request, args.amount, options.world(args, settings, console), report, allow_empty=args.allow_empty)
    return 0

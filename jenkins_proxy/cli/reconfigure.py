"""``reconfigure``: route a running service, and verify it."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.reconfigure import reconfigure
from jenkins_proxy.deployment.report import Report, recording
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    arguments.add_route(parser)
    parser.add_argument(
        "--allow-empty", action="store_true", help="route the service even when no instance passes its checks"
    )
    arguments.add_timeout(parser)
    arguments.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report, as_json=args.json):
        context = arguments.context(args, settings, console)
        reconfigure(arguments.route(args), context, report, probe_path=args.probe_path, allow_empty=args.allow_empty)
    return 0

"""``reconfigure``: route a running service, and verify it."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    shared.add_route(parser)
    shared.add_check(parser)
    parser.add_argument(
        "--allow-empty", action="store_true", help="route the service even when no instance passes its checks"
    )
    shared.add_proxies(parser)
    shared.add_timeout(parser)
    shared.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.reconfigure import reconfigure

        context = values.context(args, settings, console, phases)
        route = values.route(args)
        return reconfigure(route, context, check=values.check(args), allow_empty=args.allow_empty)

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

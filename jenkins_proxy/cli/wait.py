"""``wait``: until the registry shows passing instances of a service, whoever started them."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome, of_registry
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    parser.add_argument(
        "--instances",
        type=values.positive,
        default=1,
        metavar="N",
        help="minimum number of passing instances (default: 1)",
    )
    shared.add_limits(parser)
    shared.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.steps import wait_count

        validation.check_service(args.service)
        context = values.context(args, settings, console, phases)
        with phases.phase("wait"):
            instances = wait_count.for_count(context, args.service, args.instances, settle=args.settle)
        return Outcome(instances=of_registry(instances))

    run_reported(args.service, args.report, command, as_json=args.json)
    return 0

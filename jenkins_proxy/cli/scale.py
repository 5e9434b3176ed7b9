"""``scale``: change how many instances of a service run."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.errors import UsageError
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    parser.add_argument(
        "amount", type=values.amount, metavar="N|+N|-N", help="number of instances, or how many more or fewer"
    )
    parser.add_argument("--allow-empty", action="store_true", help="allow N to be 0")
    shared.add_compose(parser)
    shared.add_route(parser)
    shared.add_check(parser)
    shared.add_users(parser)
    shared.add_limits(parser, shared.LONGER)
    shared.add_lock(parser)
    shared.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    route = values.route(args)
    options = values.request(args, route if route.paths or route.domains else None)
    if options.others:
        raise UsageError(
            f"scale changes one target, and --target names {options.target}, {', '.join(options.others)}",
            "name the one whose containers are the instances",
        )

    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.scale import scale

        context = values.context(args, settings, console, phases)
        return scale(options, args.amount, context, allow_empty=args.allow_empty)

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

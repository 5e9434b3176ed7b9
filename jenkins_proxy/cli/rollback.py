"""``rollback``: switch a blue-green service back to its other color."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import DeployOptions
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    shared.add_check(parser, path=True)
    shared.add_users(parser)
    shared.add_timeout(parser)
    shared.add_lock(parser)
    shared.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.rollback import rollback_to_other_color

        context = values.context(args, settings, console, phases)
        options = DeployOptions(
            args.service,
            "",
            check=values.check(args),
            lock_timeout=args.lock_timeout,
            max_errors=args.max_errors,
        )
        return rollback_to_other_color(options, context)

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

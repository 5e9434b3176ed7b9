"""``deploy``: bring a service up, verify its new instances, and let users in."""

from __future__ import annotations

import argparse

from jenkins_proxy import __version__
from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_deploy(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    console.step(f"jenkins-proxy {__version__}: deploy {args.service}")
    options = values.deploy_options(args, settings)

    def command(phases: Phases) -> Outcome:
        # Imported once the first line stands on the console: an HTTP library takes its time to load.
        from jenkins_proxy.deployment.deploy import deploy

        return deploy(options, values.context(args, settings, console, phases), dry_run=args.dry_run)

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

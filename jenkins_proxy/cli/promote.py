"""``promote``: let users in to the instances that ``deploy --hold`` has left."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Those of a deploy: a pipeline gives all three commands the same ones. What was deployed stands in the registry.
    shared.add_deploy(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    options = values.deploy_options(args, settings)

    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.deployment.promote import promote

        return promote(options, values.context(args, settings, console, phases))

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

"""``remove``: remove a service's route; its containers keep running."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli import arguments, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    arguments.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.clients.proxy import ProxyClient

        validation.check_service(args.service)
        with phases.phase("reconfigure"):
            removed = ProxyClient.from_settings(settings).remove_route(args.service)
        what = "routes it no more" if removed else "had no route of it"
        console.step(f"{args.service}: the proxy {what}")
        return Outcome()

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

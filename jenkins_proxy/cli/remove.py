"""``remove``: remove a service's route; its containers keep running."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Laggards
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import run_reported
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    shared.add_proxies(parser)
    shared.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def command(phases: Phases) -> Outcome:
        from jenkins_proxy.clients.proxy import ProxyClient

        validation.check_service(args.service)
        seconds = Timing().for_proxies(args.proxies).proxies
        with phases.phase("reconfigure"):
            answer = ProxyClient.from_settings(settings, console.step).remove_route(args.service, proxies=seconds)
        what = "had no route of it" if answer is None else "routes it no more"
        console.step(f"{args.service}: the proxy {what}")
        Laggards().report(console, answer or {}, seconds)
        return Outcome()

    tell = values.notifier(settings, console)
    run_reported(args.service, args.report, command, as_json=args.json, tell=tell)
    return 0

"""``remove``: remove a service's route; its containers keep running."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli import arguments
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.report import Report, recording
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    arguments.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report, as_json=args.json):
        validation.check_service(args.service)
        with report.phase("reconfigure"):
            removed = ProxyClient.from_settings(settings).remove_route(args.service)
        what = "routes it no more" if removed else "had no route of it"
        console.step(f"{args.service}: the proxy {what}")
    return 0

"""``rollback``: switch a blue-green service back to its other color."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.report import Report, recording
from jenkins_proxy.deployment.rollback import rollback_to_other_color
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_service(parser)
    arguments.add_probe_path(parser)
    arguments.add_timeout(parser)
    arguments.add_lock(parser)
    arguments.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report, as_json=args.json):
        context = arguments.context(args, settings, console)
        rollback_to_other_color(
            args.service, context, report, probe_path=args.probe_path, lock_timeout=args.lock_timeout
        )
    return 0

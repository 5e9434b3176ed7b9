"""``rollback``: switch a blue-green service back to its other colour, at once."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli import options
from jenkins_proxy.console import Console
from jenkins_proxy.flow.report import Report, recording
from jenkins_proxy.flow.switch import switch_back
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_service(parser)
    options.add_probe_path(parser)
    options.add_timeout(parser)
    options.add_lock(parser)
    options.add_report(parser)


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    report = Report(args.service)
    with recording(report, args.report):
        world = options.world(args, settings, console)
        switch_back(args.service, world, report, probe_path=args.probe_path, lock_timeout=args.lock_timeout)
    return 0

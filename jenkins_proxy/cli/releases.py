"""``releases``: the last releases of a service, as the registry keeps them: when, which image, which build."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import shared
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.console import Console, print_json, print_text
from jenkins_proxy.deployment import release_log
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    service = validation.check_service(args.service)
    found = release_log.read(Consul.from_settings(settings), service)
    if args.json:
        print_json([release.as_dict() for release in found])
    elif found:
        print_text("\n".join(release_log.table(found)))
    else:
        console.step(f"no release of {service} is kept in the registry at {settings.consul}")
    return 0

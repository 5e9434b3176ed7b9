"""``status``: services, their instances and routes, as registry and proxy see them now."""

from __future__ import annotations

import argparse

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import shared
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.console import Console, print_json, print_text
from jenkins_proxy.deployment import status
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shared.add_service(parser, optional=True)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    if args.service is not None:
        validation.check_service(args.service)
    registry, proxy = Consul.from_settings(settings), ProxyClient.from_settings(settings, console.step)
    found, problem = status.look(registry, proxy, args.service or "")
    if args.json:
        print_json([service.as_dict() for service in found])
    else:
        print_text("\n".join(status.table(found)))
    if problem:
        console.error(problem.message, problem.hint)
        return problem.exit_code
    return 0

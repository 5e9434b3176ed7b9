"""``import``: the routes of a Docker Flow: Proxy, and with ``--apply`` their move to this proxy."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.docker_flow_proxy import services
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.console import Console, print_json, print_text
from jenkins_proxy.docker_flow_import import Imported, from_json, from_keys
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.settings import Settings

_INSTANCE = "docker-flow"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        default="",
        metavar="URL",
        help="the API of a Docker Flow: Proxy of its last version, such as http://old-proxy:8080 (default: the keys in "
        "Consul that one of 2016 has written)",
    )
    parser.add_argument(
        "--instance",
        default=_INSTANCE,
        metavar="NAME",
        help=f"its PROXY_INSTANCE_NAME, below which its keys are (default: {_INSTANCE})",
    )
    parser.add_argument("--apply", action="store_true", help="move what moves (default: only show it)")
    parser.add_argument("--allow-empty", action="store_true", help="move also what has no live instance here")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    validation.check_service(args.instance, "--instance")
    found = _read(args, settings)
    if args.apply:
        proxy = ProxyClient.from_settings(settings, console.step)
        there = {str(route.get("service")) for route in proxy.routes()}
        found = [_move(proxy, one, there, allow_empty=args.allow_empty) for one in found]
    if args.json:
        print_json([_as_dict(one) for one in found])
    else:
        print_text("\n".join(line for one in found for line in _lines(one, applied=args.apply)) or "no services")
    # As of a seed file: some did not.
    return 1 if any(one.reason for one in found) else 0


def _read(args: argparse.Namespace, settings: Settings) -> list[Imported]:
    if args.source:
        return from_json(services(args.source))
    with Consul.from_settings(settings) as registry:
        return from_keys(registry.kv_list(f"{args.instance}/"), args.instance)


def _move(proxy: ProxyClient, one: Imported, there: Collection[str], *, allow_empty: bool) -> Imported:
    """Put the routes of one service, or none of them. What was refused is told, and the others go on.

    :param there: the services that had a route before.
    """
    put: list[str] = []
    try:
        for route in one.routes:
            proxy.put_route(route, allow_empty=allow_empty)
            put.append(route.service)
    except JenkinsProxyError as error:
        for service in put:
            if service not in there:
                proxy.remove_route(service)
        return dataclasses.replace(one, reason=error.message)
    return one


def _as_dict(one: Imported) -> dict[str, object]:
    return {
        "service": one.service,
        "moves": not one.reason,
        "reason": one.reason,
        "routes": [route.as_shown() for route in one.routes],
    }


def _lines(one: Imported, *, applied: bool) -> list[str]:
    if one.reason:
        return [f"{one.service}: does not move: {one.reason}"]
    return [
        f"{route.service}: {'moved' if applied else 'moves'}: {_described(route.as_shown())}" for route in one.routes
    ]


def _described(route: dict[str, object]) -> str:
    """What a route has beside its name, in a line."""
    given = {name: value for name, value in route.items() if value and name not in ("service", "part_of")}
    if given.get("path_type") == "path_beg":
        del given["path_type"]
    return ", ".join(f"{name} {_words(value)}" for name, value in given.items())


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

"""``registrator``: the agent that enters this engine's containers into the registry, until it is stopped.

It leaves its entries when it ends: the containers run on, and the next agent compares.
"""

from __future__ import annotations

import argparse
import asyncio
import logging

from jenkins_proxy.aio import cancel_all
from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.clients.docker import endpoint
from jenkins_proxy.console import Console
from jenkins_proxy.errors import Stopped
from jenkins_proxy.settings import Settings
from jenkins_proxy.signals import call_when_stopped

_LOG = logging.getLogger(__name__)

# One connection waits for changes; the others only matter when many containers start at once.
_CONNECTIONS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ip",
        type=daemon_arguments.reachable_ip,
        help="address of all entries (default: that of the published port, else this host's)",
    )
    parser.add_argument(
        "--explicit",
        action="store_true",
        help="enter only what SERVICE_NAME or SERVICE_<port>_NAME names (default: every published port)",
    )
    parser.add_argument(
        "--tags", type=_tags, default="", metavar="TAG,…", help="tags of all entries, behind their own SERVICE_TAGS"
    )
    daemon_arguments.add_log_format(parser)


def _tags(text: str) -> str:
    if "{{" in text:
        raise argparse.ArgumentTypeError(
            f"{text[:60]!r}: Registrator's templates are not read; give the tags themselves"
        )
    return text


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def enter() -> int:
        daemon_arguments.require_aiohttp("registrator")
        return asyncio.run(_run(args, settings))

    return daemon_arguments.run_logged(enter, args.log_format)


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    from jenkins_proxy.certificate_files import CertificateFiles
    from jenkins_proxy.clients.consul import rights
    from jenkins_proxy.clients.consul.async_client import AsyncConsul, warn_of_missing_rights
    from jenkins_proxy.clients.consul.certificates import certificate_files as consul_files
    from jenkins_proxy.clients.docker.certificates import certificate_files as docker_files
    from jenkins_proxy.registrator.agent import run_agent
    from jenkins_proxy.registrator.service_entries import Choice

    task = asyncio.current_task()
    signal_names: list[str] = []

    def stop(signal_name: str) -> None:
        signal_names.append(signal_name)
        if task:
            task.cancel()

    call_when_stopped(stop)
    where = endpoint.resolve(settings)
    try:
        async with AsyncConsul.from_settings(settings, connections=_CONNECTIONS) as registry:
            _LOG.info("entering the containers of %s into %s", where.url, registry.url)
            files = CertificateFiles((*consul_files(settings), *docker_files(where)))
            warnings = [
                asyncio.create_task(warn_of_missing_rights(registry, rights.REGISTRATOR)),
                asyncio.create_task(files.run()),
            ]
            try:
                choice = Choice(named_only=args.explicit, tags=args.tags)
                await run_agent(where, registry, ip=args.ip or "", choice=choice)
            finally:
                await cancel_all(warnings)
    except asyncio.CancelledError:
        raise Stopped(signal_names[0]) from None
    return 0

"""``registrator``: the agent that enters this engine's containers into the registry, until it is stopped.

It leaves its entries when it ends: the containers run on, and the next agent compares.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import signal

from jenkins_proxy.clients.docker import endpoint
from jenkins_proxy.console import Console
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.settings import Settings

# One connection waits for changes; the others only matter when many containers start at once.
_CONNECTIONS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ip", type=_address, help="address of all entries (default: that of the published port, else this host's)"
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    try:
        import aiohttp  # noqa: F401 - asked for here, so that its absence is told in our words
    except ModuleNotFoundError as error:
        raise UsageError(
            "registrator needs aiohttp, which is not installed", "pip install 'jenkins-proxy[serve]'"
        ) from error
    return asyncio.run(_run(args.ip or "", settings, console))


def _address(text: str) -> str:
    try:
        good = not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address under which containers can be reached")
    return text


async def _run(ip: str, settings: Settings, console: Console) -> int:
    from jenkins_proxy.clients.consul.async_client import AsyncConsul
    from jenkins_proxy.registrator.agent import run_agent

    stopped = _cancel_on_signals(asyncio.current_task())
    where = endpoint.resolve(settings)
    try:
        async with AsyncConsul.from_settings(settings, connections=_CONNECTIONS) as registry:
            console.step(f"entering the containers of {where.url} into {registry.url}")
            await run_agent(where, registry, log=console, ip=ip)
    except asyncio.CancelledError:
        raise Stopped(stopped[0]) from None
    return 0


def _cancel_on_signals(task: asyncio.Task) -> list[str]:
    """Let SIGTERM and SIGINT end the task between two steps of its, and give the list that will name the signal.

    An exception raised by a signal handler, as all other commands have it, would end up in whatever task just ran.
    """
    names: list[str] = []

    def stop(signum: signal.Signals) -> None:
        names.append(signum.name)
        task.cancel()

    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop, signum)
    return names

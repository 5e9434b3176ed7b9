"""What the commands that run for ever have in common: arguments that name an address, and how they log."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable

from jenkins_proxy import logs
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError
from jenkins_proxy.hostnames import is_loopback, is_specific_address
from jenkins_proxy.model import Address
from jenkins_proxy.validation import parse_address

_LOG = logging.getLogger(__name__)


def parse_listen(value: str, option: str) -> Address:
    """``127.0.0.1:8081``, ``[::1]:8081``, ``*:80`` or ``:80`` as an address; ``*`` stands for every IPv4 address."""
    every = re.fullmatch(r"\*?:([0-9]{1,5})", value)
    return parse_address(f"0.0.0.0:{every[1]}" if every else value, option)


def check_exposure(address: Address, option: str, variable: str, *, safe: bool) -> None:
    """Refuse to be open to the network by accident.

    :param variable: the setting that gives a token.
    :param safe: whether callers must know a token, or the person has said that open is meant.
    :raises UsageError: when any machine that reaches the address could change what users get.
    """
    if not safe and not is_loopback(address.host):
        raise UsageError(
            f"{option} {address} is open to other machines, and no token protects it",
            f"set {variable} or {variable}_FILE, or say --insecure if this network is to be trusted",
        )


def bind(value: str, option: str = "--bind") -> str:
    """An address as HAProxy's ``bind`` takes it: ``*:80`` for every address, else ``host:port``."""
    address = parse_listen(value, option)
    return f"*:{address.port}" if value.startswith(("*", ":")) else str(address)


def reachable_ip(text: str) -> str:
    """The type of ``--ip``: one machine's IP address."""
    if not is_specific_address(text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not an address under which containers can be reached")
    return text


def add_log_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default=logs.TEXT,
        help="how to log to stderr: text, or json, one object a line (default: text)",
    )


def require_aiohttp(command: str) -> None:
    """:raises UsageError: when aiohttp is not installed, which only the daemons need."""
    try:
        import aiohttp  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{command} needs aiohttp, which is not installed", "pip install 'jenkins-proxy[serve]'"
        ) from error


def run_logged(work: Callable[[], int], log_format: str) -> int:
    """Do a daemon's work with its log set up.

    :return: the exit code.
    :raises JenkinsProxyError: what ended it, unless the log is JSON: then it is logged, so that each line is JSON.
    """
    logs.set_up(log_format)
    try:
        return work()
    except JenkinsProxyError as error:
        if log_format != logs.JSON:
            raise
        _LOG.error("%s", error.message, extra={"hint": error.hint})
        return error.exit_code
    except Stopped as stopped:
        # That is how a daemon ends: whoever looks for errors in its log must not find each restart there.
        _LOG.info("%s", stopped.message)
        return stopped.exit_code

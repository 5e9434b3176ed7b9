"""``serve``: the proxy daemon, with an embedded registry and its agent unless a Consul is given, until it is stopped.

It ends with 143 when it was told to stop, as every command does, after everything has ended in order.
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import ipaddress
import os
import pwd
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from jenkins_proxy import logs
from jenkins_proxy.cli import arguments
from jenkins_proxy.console import Console
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    from jenkins_proxy.proxy.daemon import Embedded, Options

_LOOPBACK = "127.0.0.1"
_FEWEST_CONNECTIONS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    entry = parser.add_argument_group("where users enter")
    entry.add_argument("--bind", action="append", default=[], metavar="H:P", help="may be given again (default: *:80)")
    entry.add_argument(
        "--hard-stop-after",
        type=arguments.seconds,
        default=3600.0,
        metavar="SECONDS",
        help="how long connections may outlive a reload (default: 3600); HAProxy's timeouts are "
        "TIMEOUT_CONNECT, TIMEOUT_CLIENT, TIMEOUT_SERVER ... in the environment, in seconds",
    )
    api = parser.add_argument_group("the API and the page")
    api.add_argument(
        "--listen",
        default="127.0.0.1:8081",
        metavar="H:P",
        help="beyond loopback a token is needed: JENKINS_PROXY_TOKEN (default: 127.0.0.1:8081)",
    )
    api.add_argument("--tls-cert", default="", metavar="FILE", help="serve the API by https with this PEM file")
    api.add_argument("--tls-key", default="", metavar="FILE", help="its key (default: in the certificate's file)")
    api.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a domain by which the API and the embedded registry may be called without a token; may be given again",
    )
    api.add_argument("--insecure", action="store_true", help="listen beyond loopback without a token")
    registry = parser.add_argument_group("the registry")
    registry.add_argument(
        "--registry-listen",
        default="",
        metavar="H:P",
        help="of the embedded registry, when no --consul is given (default: 127.0.0.1:8500)",
    )
    registry.add_argument(
        "--ip",
        default="",
        metavar="IP",
        help="the address of every container in the embedded registry (default: the published "
        "port's own, else 127.0.0.1 for this machine's own engine)",
    )
    registry.add_argument(
        "--connections",
        type=arguments.positive,
        default=100,
        metavar="N",
        help="to hold to the registry at the most; Consul allows 200 a client (default: 100)",
    )
    parser.add_argument(
        "--state-dir",
        default="",
        metavar="DIR",
        help="what outlives a restart (default: /var/lib/jenkins-proxy; for others than root "
        "~/.local/state/jenkins-proxy)",
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    try:
        import aiohttp  # noqa: F401 - asked for here, so that its absence is told in our words
    except ModuleNotFoundError as error:
        raise UsageError("serve needs aiohttp, which is not installed", "pip install 'jenkins-proxy[serve]'") from error
    made = _options(args, settings, console)
    logs.set_up("text")
    raise Stopped(asyncio.run(_serve(made, settings)))


def _options(args: argparse.Namespace, settings: Settings, console: Console) -> Options:
    from jenkins_proxy import validation
    from jenkins_proxy.proxy.api import sockets
    from jenkins_proxy.proxy.daemon import Options
    from jenkins_proxy.proxy.haproxy import render

    for option, value in (("--registry-listen", args.registry_listen), ("--ip", args.ip)):
        if value and settings.given("consul"):
            raise UsageError(
                f"{option} is for the embedded registry, but {settings.source('consul')} names a Consul",
                f"leave out {option}, or the Consul",
            )
    if args.connections < _FEWEST_CONNECTIONS:
        raise UsageError(f"--connections {args.connections} is too few: {_FEWEST_CONNECTIONS} at the least")
    listen = sockets.parse_listen(args.listen, "--listen")
    sockets.check_exposure(listen, "--listen", "JENKINS_PROXY_TOKEN", safe=bool(settings.token) or args.insecure)
    made = Options(
        listen=listen,
        haproxy=render.Options(
            tuple(_bind(value) for value in args.bind or ["*:80"]),
            render.Timeouts.from_environ(os.environ),
            args.hard_stop_after,
            *_user(),
        ),
        embedded=None if settings.given("consul") else _embedded(args, settings),
        state_dir=Path(args.state_dir) if args.state_dir else _state_dir(),
        token=settings.token,
        tls=sockets.tls_context(args.tls_cert, args.tls_key),
        connections=args.connections,
        names=tuple(validation.check_domain(name, "--allow-host") for name in args.allow_host),
    )
    _warn(made, settings, console)
    return made


def _embedded(args: argparse.Namespace, settings: Settings) -> Embedded:
    from jenkins_proxy.clients.docker import endpoint
    from jenkins_proxy.proxy.api import sockets
    from jenkins_proxy.proxy.daemon import Embedded

    listen = sockets.parse_listen(args.registry_listen or "127.0.0.1:8500", "--registry-listen")
    safe = bool(settings.consul_token) or args.insecure
    sockets.check_exposure(listen, "--registry-listen", "CONSUL_HTTP_TOKEN", safe=safe)
    engine = endpoint.resolve(settings)
    # What this machine's engine publishes is reached on loopback, whatever the machine's name resolves to.
    return Embedded(listen, engine, _address(args.ip), _LOOPBACK if engine.local else "")


def _address(text: str) -> str:
    try:
        good = not text or not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"--ip {text[:60]!r} is not an address under which containers can be reached")
    return text


def _bind(value: str) -> str:
    from jenkins_proxy.proxy.api import sockets

    address = sockets.parse_listen(value, "--bind")
    return f"*:{address.port}" if value.startswith(("*", ":")) else str(address)


def _state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/jenkins-proxy")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "jenkins-proxy"
    except (RuntimeError, KeyError):  # the latter before Python 3.10
        raise UsageError("there is no home folder to keep the state in", "give one with --state-dir") from None


def _warn(made: Options, settings: Settings, console: Console) -> None:
    from jenkins_proxy.hostnames import is_loopback

    doors = [(made.listen, made.token)]
    if made.embedded:
        doors.append((made.embedded.listen, settings.consul_token))
    for address, token in doors:
        if not token and not is_loopback(address.host):
            console.warning(f"whoever reaches {address} can change where users are led: no token is set")
    if made.token and not made.tls and not is_loopback(made.listen.host):
        console.warning(f"callers send the token to {made.listen} unencrypted: --tls-cert FILE serves by https")


async def _serve(made: Options, settings: Settings) -> str:
    """Run until a signal comes; its name."""
    from jenkins_proxy.proxy import daemon

    names: list[str] = []
    stop = asyncio.Event()

    def on_signal(signum: signal.Signals) -> None:
        names.append(signum.name)
        stop.set()

    # An exception raised by a signal handler, as other commands have it, would end up in whatever task just ran.
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, on_signal, signum)
    await daemon.run(made, settings, stop)
    return names[0]


def _user() -> tuple[str, str]:
    """The user and group that HAProxy drops its rights to once it has bound its ports; empty: it keeps the daemon's."""
    try:
        return ("haproxy", grp.getgrgid(pwd.getpwnam("haproxy").pw_gid).gr_name) if os.geteuid() == 0 else ("", "")
    except KeyError:
        return ("", "")

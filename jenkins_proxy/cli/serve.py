"""``serve``: the proxy daemon, with an embedded registry and its agent unless a Consul is given, until it is stopped.

It ends with 143 when it is stopped, as every command does, after everything has ended in order. SIGTERM, by which a
service manager restarts it, leaves HAProxy serving for the next start; Ctrl-C or ``--stop-haproxy`` ends that, too.
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import logging
import os
import pwd
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jenkins_proxy.cli.arguments import access as access_arguments
from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.cli.arguments import entry as entry_arguments
from jenkins_proxy.cli.arguments import values
from jenkins_proxy.console import Console
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.settings import Settings
from jenkins_proxy.signals import call_when_stopped
from jenkins_proxy.validation import shown

if TYPE_CHECKING:
    from jenkins_proxy.proxy.options import Embedded, Options

_LOG = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
_MIN_CONNECTIONS = 16
_MAX_HEADER = "JENKINS_PROXY_MAX_HEADER"
_HEADER_RANGE = (16_384, 1_048_576)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_entry(parser)
    entry_arguments.add_arguments(parser)
    access_arguments.add_arguments(parser)
    _add_registry(parser)
    parser.add_argument(
        "--state-dir",
        default="",
        metavar="DIR",
        help="directory of the state that outlives a restart (default: /var/lib/jenkins-proxy; for others "
        "than root ~/.local/state/jenkins-proxy)",
    )
    daemon_arguments.add_log_format(parser)


def _add_entry(parser: argparse.ArgumentParser) -> None:
    entry = parser.add_argument_group("users' connections")
    entry.add_argument(
        "--bind", action="append", default=[], metavar="H:P", help="where users connect; repeatable (default: *:80)"
    )
    entry.add_argument(
        "--tcp-bind",
        action="append",
        default=[],
        metavar="H:P",
        help="where connections come in that routes of the modes tcp and sni lead on; repeatable (default: nowhere)",
    )
    entry.add_argument(
        "--hard-stop-after",
        type=values.seconds,
        default=3600.0,
        metavar="SECONDS",
        help="close connections so long after a reload (default: 3600); HAProxy's timeouts are "
        "TIMEOUT_CONNECT, TIMEOUT_CLIENT, TIMEOUT_SERVER ... in the environment, in seconds",
    )
    entry.add_argument(
        "--stop-haproxy",
        action="store_true",
        help="end HAProxy with the daemon on SIGTERM, as Ctrl-C does (default: it goes on serving users, and the next "
        "start with the same --state-dir takes it over without losing a request)",
    )
    entry.add_argument(
        "--max-header",
        type=values.whole,
        default=None,
        metavar="BYTES",
        help=f"how long the headers of a request or an answer may be, {_HEADER_RANGE[0]} to {_HEADER_RANGE[1]} "
        f"(default: {_MAX_HEADER} in the environment, else about 15000)",
    )


def _add_registry(parser: argparse.ArgumentParser) -> None:
    registry = parser.add_argument_group("registry")
    registry.add_argument(
        "--registry-listen",
        default="",
        metavar="H:P",
        help="where the embedded registry listens, without --consul (default: 127.0.0.1:8500)",
    )
    registry.add_argument(
        "--ip",
        type=daemon_arguments.reachable_ip,
        metavar="IP",
        help="address of all containers in the embedded registry (default: that of the published "
        "port, else 127.0.0.1 for this machine's own engine)",
    )
    registry.add_argument(
        "--connections",
        type=values.positive,
        default=100,
        metavar="N",
        help="maximum number of connections to the registry; Consul allows 200 a client (default: 100)",
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    def serve() -> NoReturn:
        daemon_arguments.require_aiohttp("serve")
        options = _options(args, settings)
        _warn(options, settings)
        raise Stopped(asyncio.run(_serve(options, settings, stop_haproxy=args.stop_haproxy)))

    return daemon_arguments.run_logged(serve, args.log_format)


def _options(args: argparse.Namespace, settings: Settings) -> Options:
    from jenkins_proxy.proxy import container_environ
    from jenkins_proxy.proxy.api.docker_flow import environ_services
    from jenkins_proxy.proxy.haproxy.config import options as haproxy_options
    from jenkins_proxy.proxy.options import Options

    for option, value in (("--registry-listen", args.registry_listen), ("--ip", args.ip)):
        if value and settings.given("consul"):
            raise UsageError(
                f"{option} is for the embedded registry, but {settings.source('consul')} names a Consul",
                f"leave out {option}, or the Consul",
            )
    if args.connections < _MIN_CONNECTIONS:
        raise UsageError(f"--connections {args.connections} is too few: {_MIN_CONNECTIONS} at the least")
    listen, access = daemon_arguments.parse_listen(args.listen, "--listen"), access_arguments.resolve(args, settings)
    daemon_arguments.check_exposure(listen, "--listen", "JENKINS_PROXY_TOKEN", safe=access.guarded or args.insecure)
    environ = container_environ.read(os.environ)
    entry_arguments.complete(args, environ.tls_binds)
    binds = tuple(daemon_arguments.bind(value) for value in args.bind) or environ.binds or ("*:80",)
    return Options(
        listen=listen,
        haproxy=haproxy_options.Options(
            binds,
            haproxy_options.Timeouts.from_environ(os.environ),
            args.hard_stop_after,
            *_user(),
            max_header=_max_header(args.max_header, os.environ),
            route_defaults=environ.defaults,
            tcp_binds=_tcp_binds(args.tcp_bind, binds),
            entry=entry_arguments.entry(args),
        ),
        separator=environ.separator,
        services=environ_services.calls(
            os.environ, container_environ.users_secret, environ.separator, environ.defaults.users
        ),
        entry_certificates=entry_arguments.certificates(args),
        embedded=None if settings.given("consul") else _embedded(args, settings),
        state_dir=Path(args.state_dir) if args.state_dir else _state_dir(),
        tokens=access.tokens,
        certificates=access.certificates,
        tls=access.tls,
        connections=args.connections,
        names=access.names,
    )


def _tcp_binds(given: Sequence[str], binds: Sequence[str]) -> tuple[str, ...]:
    """:raises UsageError: for a port that HTTP has, or that is given twice."""
    found = [daemon_arguments.bind(value, "--tcp-bind") for value in given]
    ports = [bind.rpartition(":")[2] for bind in (*binds, *found)]
    twice = sorted({port for port in ports if ports.count(port) > 1} & {bind.rpartition(":")[2] for bind in found})
    if twice:
        raise UsageError(f"--tcp-bind: port {twice[0]} is given twice", "a port is HTTP's or not, and of one address")
    return tuple(found)


def _max_header(given: int | None, environ: Mapping[str, str]) -> int:
    """How long headers may be, in bytes; 0 where nobody says.

    :raises UsageError: for a length that is none, or that no buffer has.
    """
    text = environ.get(_MAX_HEADER, "") if given is None else str(given)
    if not text:
        return 0
    least, most = _HEADER_RANGE
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        source = f"{_MAX_HEADER}={shown(text)}" if given is None else f"--max-header {text}"
        raise UsageError(
            f"{source} is not a number of bytes from {least} to {most}",
            "each connection has two buffers of that size: take no more than your headers need",
        )
    return int(text)


def _embedded(args: argparse.Namespace, settings: Settings) -> Embedded:
    from jenkins_proxy.clients.docker import endpoint
    from jenkins_proxy.proxy.options import Embedded

    listen = daemon_arguments.parse_listen(args.registry_listen or "127.0.0.1:8500", "--registry-listen")
    safe = bool(settings.consul_token) or args.insecure
    daemon_arguments.check_exposure(listen, "--registry-listen", "CONSUL_HTTP_TOKEN", safe=safe)
    engine = endpoint.resolve(settings)
    # What this machine's engine publishes is reached on loopback, whatever the machine's name resolves to.
    return Embedded(listen, engine, args.ip or "", _LOOPBACK if engine.local else "")


def _state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/jenkins-proxy")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "jenkins-proxy"
    except RuntimeError:
        raise UsageError("there is no home folder to keep the state in", "give one with --state-dir") from None


def _warn(options: Options, settings: Settings) -> None:
    from jenkins_proxy.hostnames import is_loopback
    from jenkins_proxy.proxy import container_environ
    from jenkins_proxy.proxy.api.docker_flow import environ_services

    for warning in (*container_environ.warnings(os.environ), *environ_services.warnings(os.environ)):
        _LOG.warning("%s", warning)
    listening = [(options.listen, options.guarded)]
    if options.embedded:
        listening.append((options.embedded.listen, bool(settings.consul_token)))
    for address, guarded in listening:
        if not guarded and not is_loopback(address.host):
            _LOG.warning("whoever reaches %s can change where users are led: no token is set", address)
    if options.tokens and not options.tls and not is_loopback(options.listen.host):
        _LOG.warning("callers send the token to %s unencrypted: --tls-cert FILE serves by https", options.listen)


async def _serve(options: Options, settings: Settings, *, stop_haproxy: bool) -> str:
    """Run until a signal comes, and give its name."""
    from jenkins_proxy.proxy import daemon

    signal_names: list[str] = []
    stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def stop(signal_name: str) -> None:
        signal_names.append(signal_name)
        if not stopped.done():
            stopped.set_result(stop_haproxy or signal_name == "SIGINT")

    call_when_stopped(stop)
    await daemon.run(options, settings, stopped)
    return signal_names[0]


def _user() -> tuple[str, str]:
    """The user and group that HAProxy drops its rights to once it has bound its ports; empty: it keeps the daemon's."""
    try:
        return ("haproxy", grp.getgrgid(pwd.getpwnam("haproxy").pw_gid).gr_name) if os.geteuid() == 0 else ("", "")
    except KeyError:
        return ("", "")

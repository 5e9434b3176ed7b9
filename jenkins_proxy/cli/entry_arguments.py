"""The arguments of ``serve`` for what users meet at the entry: TLS and what else holds for all routes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jenkins_proxy import validation
from jenkins_proxy.cli import daemon_arguments, values
from jenkins_proxy.errors import UsageError

if TYPE_CHECKING:
    from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls

_OWN_PORT = -1
_MAX_HSTS = 63_072_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tls = parser.add_argument_group("https for users")
    tls.add_argument(
        "--tls-bind",
        action="append",
        default=[],
        metavar="H:P",
        help="where users connect by https, with HTTP/2; repeatable",
    )
    tls.add_argument(
        "--certs",
        default="",
        metavar="DIR",
        help="directory of certificates: NAME.pem with chain and key, or certbot's NAME/fullchain.pem and privkey.pem; "
        "changes are served within a second, without a reload. PUT /v1/certs/NAME adds others",
    )
    tls.add_argument(
        "--tls-redirect",
        nargs="?",
        type=values.whole,
        const=_OWN_PORT,
        default=0,
        metavar="PORT",
        help="redirect all requests by http to https, at PORT (default: that of the first --tls-bind)",
    )
    tls.add_argument(
        "--hsts",
        type=values.whole,
        default=0,
        metavar="SECONDS",
        help="tell browsers to come by https only, for so long (Strict-Transport-Security)",
    )
    tls.add_argument(
        "--acme",
        default="",
        metavar="H:P",
        help="who answers ACME's challenges (/.well-known/acme-challenge/), such as certbot --standalone",
    )


def entry(args: argparse.Namespace) -> Entry:
    """What holds at the entry.

    :raises UsageError: for what cannot be.
    """
    from jenkins_proxy.proxy.haproxy.entry.options import Entry

    return Entry(tls=_tls(args), acme=validation.parse_address(args.acme, "--acme") if args.acme else None)


def certificates(args: argparse.Namespace) -> Path | None:
    """The directory of certificates.

    :raises UsageError: when it cannot be read.
    """
    if not args.certs:
        return None
    folder = Path(args.certs)
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError(f"--certs {args.certs} cannot be read: {error.strerror}", "give a directory") from error
    return folder.absolute()


def _tls(args: argparse.Namespace) -> Tls | None:
    from jenkins_proxy.proxy.haproxy.entry.options import Tls

    if not args.tls_bind:
        given = {"--certs": args.certs, "--tls-redirect": args.tls_redirect, "--hsts": args.hsts}
        for option, value in given.items():
            if value:
                raise UsageError(f"{option} is given without --tls-bind", "for example --tls-bind '*:443'")
        return None
    if args.hsts > _MAX_HSTS:
        raise UsageError(f"--hsts {args.hsts} is more than two years ({_MAX_HSTS} seconds)")
    if args.tls_redirect > 65535:
        raise UsageError(f"--tls-redirect {args.tls_redirect} is no port")
    first = daemon_arguments.parse_listen(args.tls_bind[0], "--tls-bind").port
    return Tls(
        tuple(daemon_arguments.bind(value, "--tls-bind") for value in args.tls_bind),
        first if args.tls_redirect == _OWN_PORT else args.tls_redirect,
        args.hsts,
    )

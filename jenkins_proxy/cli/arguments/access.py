"""The options of ``serve`` that say where the API listens and who may call it."""

from __future__ import annotations

import argparse
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jenkins_proxy import tls, validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    from jenkins_proxy.proxy.access.callers import ClientRoles
    from jenkins_proxy.proxy.access.tokens import Tokens

_TOKEN_FILE = "JENKINS_PROXY_TOKEN_FILE"  # noqa: S105


@dataclass(frozen=True)
class Access:
    """Who may call the API.

    :ivar certificates: None where client certificates are not asked for.
    :ivar tls: None for plain HTTP.
    :ivar names: host names by which callers may reach it without a token.
    """

    tokens: Tokens
    certificates: ClientRoles | None
    tls: ssl.SSLContext | None
    names: tuple[str, ...]

    @property
    def guarded(self) -> bool:
        """Whether callers need a token or a certificate."""
        return bool(self.tokens) or self.certificates is not None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    api = parser.add_argument_group("API and dashboard")
    api.add_argument(
        "--listen",
        default="127.0.0.1:8081",
        metavar="H:P",
        help="where the API listens; beyond loopback it needs JENKINS_PROXY_TOKEN or --token-file "
        "(default: 127.0.0.1:8081)",
    )
    api.add_argument(
        "--token-file",
        action="append",
        default=[],
        metavar="FILE",
        help="tokens of the API, one `ROLE TOKEN NAME` a line with the role read or change; read anew when the file "
        "changes; repeatable",
    )
    for option, text in (
        ("--tls-cert", "serve the API by HTTPS with the certificate in this PEM file"),
        ("--tls-key", "the private key (default: in the file of the certificate)"),
        ("--tls-client-ca", "ask callers for a certificate that an authority in this PEM file has signed"),
    ):
        api.add_argument(option, default="", metavar="FILE", help=text)
    api.add_argument(
        "--client-role",
        action="append",
        default=[],
        metavar="NAME=ROLE",
        help="what the certificate with this common name may, read or change; all others nothing; repeatable "
        "(default: every certificate of --tls-client-ca may change)",
    )
    api.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name by which clients may call the API and the embedded registry without a token; repeatable",
    )
    api.add_argument("--insecure", action="store_true", help="allow the API to listen beyond loopback without a token")


def resolve(args: argparse.Namespace, settings: Settings) -> Access:
    """What the options and the settings say.

    :raises UsageError: for a file that cannot be used, or options that need another.
    """
    return Access(
        _tokens(args.token_file, settings),
        _certificates(args),
        _tls(args),
        tuple(validation.check_domain(name, "--allow-host") for name in args.allow_host),
    )


def _tokens(files: list[str], settings: Settings) -> Tokens:
    from jenkins_proxy.proxy.access.tokens import TokenFile, Tokens, change_token, single_file

    followed = [TokenFile(path) for path in files]
    if settings.source("token") == _TOKEN_FILE:
        single = single_file(os.environ[_TOKEN_FILE], _TOKEN_FILE)
        if single:
            return Tokens((), [single, *followed])
    return Tokens(change_token(settings.token), followed)


def _certificates(args: argparse.Namespace) -> ClientRoles | None:
    from jenkins_proxy.proxy.access.callers import client_roles

    if args.tls_client_ca:
        return client_roles(args.client_role, "--client-role")
    if args.client_role:
        raise UsageError("--client-role is given without --tls-client-ca")
    return None


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if args.tls_cert:
        return tls.server_context(args.tls_cert, args.tls_key, args.tls_client_ca)
    for option, value in (("--tls-key", args.tls_key), ("--tls-client-ca", args.tls_client_ca)):
        if value:
            raise UsageError(f"{option} is given without --tls-cert")
    return None

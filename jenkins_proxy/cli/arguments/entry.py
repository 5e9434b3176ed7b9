"""The arguments of ``serve`` for what users meet at the entry: TLS and what else holds for all routes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.cli.arguments import values
from jenkins_proxy.errors import UsageError

if TYPE_CHECKING:
    from jenkins_proxy.proxy.certificates.compose import CertificateOptions
    from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog
    from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls

_LOG_FORMATS = ("clf", "json")
_SYSLOG = "syslog://"
_OWN_PORT = -1
_DOCKER_FLOW_CERTIFICATES = Path("/certs")
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
        "--share-certs",
        default="",
        metavar="KEYFILE",
        help="share the certificates of PUT /v1/certs with all proxies on the registry, encrypted by this key",
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
    _add_requests(parser)


def _add_requests(parser: argparse.ArgumentParser) -> None:
    requests = parser.add_argument_group("users' requests")
    requests.add_argument(
        "--forwarded",
        action="store_true",
        help="tell services X-Forwarded-Proto, -Host and -Port, as with --tls-bind (X-Forwarded-For they get always)",
    )
    requests.add_argument("--request-id", action="store_true", help="give each request an X-Request-ID")
    requests.add_argument(
        "--trusted",
        action="append",
        default=[],
        metavar="NET[,NET...]",
        help="networks, such as 10.0.0.0/8, whose callers' own X-Forwarded-Proto, -Host, -Port and X-Request-ID "
        "are kept",
    )
    requests.add_argument(
        "--access-log",
        choices=("off", *_LOG_FORMATS),
        default="off",
        help="log each request: off, clf (the combined format and more) or json (default: off)",
    )
    requests.add_argument(
        "--access-log-to",
        default="",
        metavar="WHERE",
        help="stdout, a file, or syslog://HOST:PORT by UDP (default: stdout)",
    )
    requests.add_argument(
        "--error-pages",
        default="",
        metavar="DIR",
        help="directory of 503.http and the like: whole answers of HTTP in place of HAProxy's own",
    )
    requests.add_argument(
        "--no-route-status",
        type=values.whole,
        choices=(503, 404),
        default=503,
        help="the answer to a request that no route is for (default: 503)",
    )


def entry(args: argparse.Namespace) -> Entry:
    """What holds at the entry.

    :raises UsageError: for what cannot be.
    """
    from jenkins_proxy.proxy.haproxy.entry.options import Entry

    return Entry(
        tls=_tls(args),
        acme=validation.parse_address(args.acme, "--acme") if args.acme else None,
        forwarded=args.forwarded,
        # A log without it could not be compared with those of the services.
        request_id=args.request_id or args.access_log != "off",
        trusted=tuple(
            validation.check_network(network, "--trusted") for network in ",".join(args.trusted).split(",") if network
        ),
        access_log=_access_log(args),
        error_pages=_error_pages(args.error_pages) if args.error_pages else {},
        no_route_status=args.no_route_status,
    )


def _access_log(args: argparse.Namespace) -> AccessLog | None:
    from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog

    where = args.access_log_to
    if args.access_log == "off":
        if where:
            raise UsageError(f"--access-log-to {where} is given without --access-log", "for example --access-log json")
        return None
    if where.startswith(_SYSLOG):
        address = where.removeprefix(_SYSLOG)
        return AccessLog(args.access_log, syslog=validation.parse_address(address, "--access-log-to syslog://"))
    if where in ("", "stdout"):
        return AccessLog(args.access_log)
    file = Path(where).absolute()
    try:
        file.open("ab").close()
    except OSError as error:
        raise UsageError(f"--access-log-to {where} cannot be written: {error.strerror}") from error
    return AccessLog(args.access_log, file=str(file))


def _error_pages(folder: str) -> dict[int, str]:
    """The pages by status. What is in them is HAProxy's to check."""
    from jenkins_proxy.proxy.haproxy.entry.options import PAGE_STATUSES

    pages = {}
    try:
        for path in sorted(Path(folder).glob("*.http")):
            if path.stem not in map(str, PAGE_STATUSES):
                known = ", ".join(map(str, PAGE_STATUSES))
                raise UsageError(f"--error-pages: {path} is for no status that HAProxy answers with", f"known: {known}")
            # The lines of HTTP end as they are.
            pages[int(path.stem)] = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--error-pages {folder} cannot be read: {error}") from error
    if not pages:
        raise UsageError(f"--error-pages {folder} has no page", "for example 503.http, which begins with HTTP/1.1 503")
    return pages


def certificates(args: argparse.Namespace) -> CertificateOptions:
    """Where certificates come from.

    :raises UsageError: when the directory or the key to share by cannot be read.
    """
    from jenkins_proxy.proxy.certificates.compose import CertificateOptions
    from jenkins_proxy.proxy.certificates.sharing import read_key

    return CertificateOptions(
        folder=_folder(args.certs) if args.certs else None,
        share_key=read_key(args.share_certs) if args.share_certs else b"",
        own=(args.tls_cert, args.tls_key),
        client_ca=args.tls_client_ca,
    )


def complete(args: argparse.Namespace, binds: Sequence[str]) -> None:
    """Take https from Docker Flow: Proxy's environment where no argument says where it is.

    :param binds: the environment's.
    """
    if binds and not args.tls_bind:
        args.tls_bind = list(binds)
        if not args.certs and _DOCKER_FLOW_CERTIFICATES.is_dir():
            args.certs = str(_DOCKER_FLOW_CERTIFICATES)


def _folder(given: str) -> Path:
    folder = Path(given)
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError(f"--certs {given} cannot be read: {error.strerror}", "give a directory") from error
    return folder.absolute()


def _tls(args: argparse.Namespace) -> Tls | None:
    from jenkins_proxy.proxy.haproxy.entry.options import Tls

    if not args.tls_bind:
        given = {
            "--certs": args.certs,
            "--share-certs": args.share_certs,
            "--tls-redirect": args.tls_redirect,
            "--hsts": args.hsts,
        }
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

"""The environment of Docker Flow: Proxy's container: what a daemon in its place makes of it. Pure, but for secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jenkins_proxy.errors import UsageError, root_cause
from jenkins_proxy.proxy.haproxy.config.route_defaults import RouteDefaults
from jenkins_proxy.route_options import docker_flow
from jenkins_proxy.route_options.passwords import sha512_hash
from jenkins_proxy.route_options.query import FALSE, TRUE, Query
from jenkins_proxy.route_options.table import OPTIONS
from jenkins_proxy.validation import NAME, check, not_allowed, whole

SECRETS = Path("/run/secrets")
HONOURED = {
    "BIND_PORTS": "ports beside those of `DEFAULT_PORTS`, where no `--bind` is given; `:ssl` makes one of https",
    "DEFAULT_PORTS": "ports instead of 80, where no `--bind` is given; one with `:ssl`, as in `80,443:ssl`, is of "
    "https, where no `--tls-bind` is given, by the certificates in `/certs`, where no `--certs` is given",
    "COMPRESSION_ALGO": "`compressionAlgo` of every route that has none",
    "COMPRESSION_TYPE": "`compressionType` of these",
    "HTTPS_ONLY": "`httpsOnly` of every route",
    "SEPARATOR": "what stands between the items of a list, in calls of `reconfigure`",
    "SERVICE_DOMAIN_ALGO": "`serviceDomainAlgo` of every route that has none",
    "USERS": "`users` of every route that has none and no `ignoreAuthorization`",
    "USERS_PASS_ENCRYPTED": "whether their passwords are hashes already",
}
"""The variables that are read beside ``TIMEOUT_*``. Each may be a secret ``dfp_<name>``, too, as there."""
PASSED_OVER = {
    "CA_FILE": "client certificates are not verified",
    "CFG_TEMPLATE_PATH": "a template would put raw text into HAProxy's configuration",
    "CONSUL_ADDRESS": "the registry is CONSUL_HTTP_ADDR",
    "CRT_LIST_PATH": "`--certs` is a directory",
    "EXTRA_FRONTEND": "it would put raw text into HAProxy's configuration",
    "EXTRA_GLOBAL": "it would put raw text into HAProxy's configuration",
    "LISTENER_ADDRESS": "the routes are in the registry's key-value store",
    "SSL_BIND_CIPHERS": "TLS is Mozilla's intermediate configuration",
    "SSL_BIND_OPTIONS": "TLS is Mozilla's intermediate configuration",
    "STATS_USER": "the page of the API shows what HAProxy counts",
    "STATS_PASS": "the page of the API shows what HAProxy counts",
}
"""Variables that change nothing here, and why: whoever sets one is told."""


@dataclass(frozen=True)
class ContainerEnviron:
    """What the environment says.

    :ivar binds: in HAProxy's words; empty where it says none.
    :ivar tls_binds: the same, of https.
    :ivar separator: between the items of a list, in calls.
    """

    defaults: RouteDefaults = RouteDefaults()
    binds: tuple[str, ...] = ()
    tls_binds: tuple[str, ...] = ()
    separator: str = ","


def read(environ: Mapping[str, str], secrets: Path = SECRETS) -> ContainerEnviron:
    """Read what is set.

    :raises UsageError: for a value that is not allowed, by the variable's name.
    """
    given = _given(environ, secrets)
    separator = given.get("SEPARATOR", ",")
    if len(separator) != 1 or separator.isalnum() or separator in "\\/ ":
        raise not_allowed("SEPARATOR", separator, "one sign, such as ; or |")
    return ContainerEnviron(_defaults(given), *_binds(given), separator)


def warnings(environ: Mapping[str, str]) -> list[str]:
    """What is set and passed over, for people."""
    return [f"{name} is passed over: {reason}" for name, reason in PASSED_OVER.items() if environ.get(name)]


def users_secret(name: str, secrets: Path = SECRETS) -> str:
    """The text of the file of users that ``usersSecret`` names.

    :raises UsageError: when there is none that can be read.
    """
    path = secrets / f"dfp_users_{check(NAME, 'usersSecret', name)}"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"usersSecret {name}: {path} cannot be read: {root_cause(error)}") from error


def _given(environ: Mapping[str, str], secrets: Path) -> dict[str, str]:
    """What is set, a secret before the variable."""
    return {name: text for name in HONOURED if (text := _secret(secrets, name) or environ.get(name, ""))}


def _defaults(given: Mapping[str, str]) -> RouteDefaults:
    options = {option.name: option for option in OPTIONS}
    values = {
        "https_only": _flag(given, "HTTPS_ONLY"),
        "domain_algo": given.get("SERVICE_DOMAIN_ALGO", ""),
        "compression_algo": given.get("COMPRESSION_ALGO", ""),
        "compression_type": options["compression_type"].parse(given.get("COMPRESSION_TYPE", "").replace(" ", ",")),
        "users": tuple(_users(given)),
    }
    words = {"domain_algo": "SERVICE_DOMAIN_ALGO"}
    for name, value in values.items():
        options[name].check(value, words.get(name, name.upper()))
    return RouteDefaults(**values)


def _users(given: Mapping[str, str]) -> Iterator[str]:
    hashed = _flag(given, "USERS_PASS_ENCRYPTED")
    pairs = [("users", given.get("USERS", "")), ("usersPassEncrypted", str(hashed).lower())]
    try:
        yield from docker_flow.users(Query(pairs), (given.get("USERS", ""),), "", sha512_hash, lambda _name: "")
    except UsageError as error:
        raise UsageError(f"USERS: {error.message}", error.hint) from error


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "")
    if text not in ("", *TRUE, *FALSE):
        raise not_allowed(name, text, "true or false")
    return text in TRUE


def _binds(given: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses to listen on by http, and by https."""
    binds: list[str] = []
    tls: list[str] = []
    for name in ("DEFAULT_PORTS", "BIND_PORTS"):
        # Ports beside the usual one leave it.
        default = "80" if name == "DEFAULT_PORTS" and "BIND_PORTS" in given else ""
        for item in filter(None, given.get(name, default).split(",")):
            port, colon, kind = item.strip().partition(":")
            if not whole(port, 65535) or (colon and kind != "ssl"):
                raise not_allowed(name, item, "a port, or a port and :ssl")
            (tls if colon else binds).append(f"*:{port}")
    return tuple(dict.fromkeys(binds)), tuple(dict.fromkeys(tls))


def _secret(secrets: Path, name: str) -> str:
    try:
        return (secrets / f"dfp_{name.lower()}").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""

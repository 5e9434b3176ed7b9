"""Where the Docker Engine is: ``DOCKER_HOST``, else the current Docker context, else the default socket."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from jenkins_proxy import processes
from jenkins_proxy.errors import DockerError, UsageError
from jenkins_proxy.settings import Settings

_SECONDS = 20.0
_PORT, _TLS_PORT = 2375, 2376
_CONTEXT = "context "
_TLS_HINT = "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder with the client's certificates"


@dataclass(frozen=True)
class Endpoint:
    """An engine's address.

    :ivar url: ``unix:///var/run/docker.sock`` or ``tcp://10.100.192.200:2375``.
    :ivar source: which setting it comes from, or ``context NAME``.
    :ivar certificates: the folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; empty: no TLS.
    """

    url: str
    source: str
    certificates: str = ""

    @property
    def local(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.url.startswith("unix://")

    @property
    def socket(self) -> str:
        """The path of a socket of this machine, else empty."""
        return self.url.removeprefix("unix://") if self.local else ""

    @property
    def host(self) -> str:
        """The host of a ``tcp://`` endpoint, else empty."""
        return "" if self.local else urlsplit(self.url).hostname or ""

    @property
    def cacert(self) -> str:
        """The file with the authority that signs the engine's certificate; empty: no TLS."""
        return self._file("ca.pem")

    @property
    def cert(self) -> str:
        """The file with our own certificate; empty: no TLS."""
        return self._file("cert.pem")

    @property
    def key(self) -> str:
        """The file with the key of our own certificate; empty: no TLS."""
        return self._file("key.pem")

    def _file(self, name: str) -> str:
        return os.path.join(self.certificates, name) if self.certificates else ""

    def unreachable(self, reason: str) -> DockerError:
        """The error for an engine that does not answer, or not as an engine does."""
        if self.certificates and "certificate" in reason:
            # An alert is TLS's word for what the other side says: it does not take what we show.
            said = "refuses our certificate" if "alert" in reason else "is not trusted"
            return DockerError(
                f"the Docker Engine at {self.url} {said}{reason}",
                f"ca.pem, cert.pem and key.pem in {self.certificates} must be valid, and of its authority",
            )
        return DockerError(
            f"no Docker Engine answers at {self.url}{reason}",
            f"start it, or set DOCKER_HOST to where it is ({self.source} says so); may this user use it?",
        )

    def refused(self, request: str, answer: str) -> DockerError:
        """The error for a request that the engine refuses.

        :param request: method and path.
        :param answer: what the engine says.
        """
        return DockerError(
            f"Docker Engine at {self.url}: {request}: {answer}", _TLS_HINT if "HTTPS server" in answer else ""
        )

    def environment(self, environ: Mapping[str, str], *, contexts: bool) -> dict[str, str]:
        """An environment that leads Docker's own programs to this engine, and not to another one.

        :param environ: what they run in otherwise.
        :param contexts: whether the program knows ``DOCKER_CONTEXT``, which compose v1 leaves unread.
        """
        of_context = self.source.startswith(_CONTEXT)
        if of_context and contexts:
            return dict(environ)
        mine = {name: value for name, value in environ.items() if not (of_context and name == "DOCKER_CONTEXT")}
        if of_context and self.certificates:
            mine.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=self.certificates)
        # With the port: compose v1 refuses an address that has none.
        return {**mine, "DOCKER_HOST": self.url} if of_context or "DOCKER_HOST" in environ else mine

    @property
    def base_url(self) -> str:
        """What request paths are appended to."""
        if self.local:
            return "http://localhost"
        return ("https" if self.certificates else "http") + "://" + urlsplit(self.url).netloc


def resolve(settings: Settings, environ: Mapping[str, str] | None = None) -> Endpoint:
    """Find the engine's endpoint in the order that Docker's own client uses.

    Source: ``resolveContextName`` in docker/cli ``cli/command/cli.go``: ``DOCKER_HOST``, ``DOCKER_CONTEXT``,
    ``currentContext`` of ``config.json``.

    :param environ: the environment; this process's when not given.
    :raises UsageError: for an address that is none, one by ssh, or certificates that are not there.
    """
    environ = os.environ if environ is None else environ
    name = "" if settings.given("docker_host") else _context(environ)
    if name in ("", "default"):
        # Any text switches it on, even `0`: Docker's client reads it so, and compose runs beside us with the same.
        folder = (settings.docker_cert_path or str(config_folder(environ))) if settings.docker_tls_verify else ""
        endpoint = Endpoint(settings.docker_host, settings.source("docker_host"), folder)
    else:
        endpoint = _inspect(name, settings)
    return _check(replace(endpoint, url=_with_port(endpoint)))


def _with_port(endpoint: Endpoint) -> str:
    """The URL with Docker's usual port where it has none: ``tcp://manager`` is ``tcp://manager:2375``."""
    try:
        parts = urlsplit(endpoint.url)
        if parts.scheme != "tcp" or not parts.hostname or parts.port is not None or parts.netloc.endswith(":"):
            return endpoint.url
    except ValueError:
        return endpoint.url
    return f"tcp://{parts.netloc}:{_TLS_PORT if endpoint.certificates else _PORT}"


def _forwarding(url: str) -> str:
    """How an engine behind ssh is reached all the same: a command to type, with the host of the URL."""
    named = re.fullmatch(r"ssh://((?:[\w.-]+@)?[\w.-]+)(?::([0-9]{1,5}))?(/[\w./-]*)?", url)
    host, port, path = named.groups() if named else ("HOST", None, None)
    socket = path.rstrip("/") if path else ""
    command = f"ssh -fnNT {f'-p {port} ' if port else ''}-L /tmp/docker.sock:{socket or '/var/run/docker.sock'} {host}"
    return (
        f"forward its socket with {command}, and set DOCKER_HOST=unix:///tmp/docker.sock; "
        "registrator and serve need --ip with the host's address then"
    )


def config_folder(environ: Mapping[str, str]) -> Path:
    """The folder of Docker's own configuration; it need not be there."""
    # For a user without a home, `~` stays as it is: a folder that is not there.
    return Path(environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))


def _context(environ: Mapping[str, str]) -> str:
    if environ.get("DOCKER_CONTEXT"):
        return environ["DOCKER_CONTEXT"]
    file = config_folder(environ) / "config.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("currentContext", ""))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"cannot read Docker's own configuration {file}: {error}") from error


def _inspect(name: str, settings: Settings) -> Endpoint:
    hint = "docker context ls shows what there is; DOCKER_HOST takes the place of a context"
    try:
        argv = ["docker", "context", "inspect", "--format", "{{json .}}", "--", name]
        answer = processes.ask(argv, _SECONDS, env=settings.docker_environment())
    except FileNotFoundError:
        raise UsageError(f"Docker context {name!r} is chosen, but the docker program is not installed", hint) from None
    if answer.returncode:
        raise UsageError(f"Docker context {name!r}: {answer.last_line}", hint)
    data = json.loads(answer.stdout)
    files = data.get("TLSMaterial", {}).get("docker")
    folder = os.path.join(data["Storage"]["TLSPath"], "docker") if files else ""
    return Endpoint(data["Endpoints"]["docker"]["Host"], _CONTEXT + name, folder)


def _check(endpoint: Endpoint) -> Endpoint:
    where = f"{endpoint.source}: {endpoint.url!r}"
    if endpoint.url.startswith("ssh://"):
        raise UsageError(f"{where}: an engine behind ssh is not supported", _forwarding(endpoint.url))
    try:
        parts = urlsplit(endpoint.url)
        good = (parts.scheme == "unix" and parts.path) or (parts.scheme == "tcp" and parts.hostname and parts.port)
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{where} is no Docker Engine address", "unix:///var/run/docker.sock or tcp://HOST:PORT")
    files = (endpoint.cacert, endpoint.cert, endpoint.key)
    missing = [os.path.basename(file) for file in files if file and not os.access(file, os.R_OK)]
    if missing:
        raise UsageError(
            f"DOCKER_TLS_VERIFY is set, but {endpoint.certificates} lacks {', '.join(missing)}",
            "set DOCKER_CERT_PATH to the folder with the client's certificates",
        )
    return endpoint

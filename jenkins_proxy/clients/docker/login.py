"""A login to an image registry for one command: a Docker configuration of its own, gone when the command ends."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from jenkins_proxy import processes
from jenkins_proxy.clients.docker import endpoint
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DockerError, UsageError
from jenkins_proxy.retry import Deadline

HOST = "JENKINS_PROXY_IMAGE_REGISTRY"
USER = "JENKINS_PROXY_IMAGE_REGISTRY_USER"
PASSWORD = "JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD"  # noqa: S105 - a variable's name
DEPRECATED = {name: name.replace("IMAGE_", "") for name in (HOST, USER, PASSWORD)}
"""The names that the variables had before, which still work."""
_SECONDS = 60.0


@contextlib.contextmanager
def logged_in(environ: MutableMapping[str, str], console: Console) -> Iterator[None]:
    """Log in for the length of a block when the environment has a user and a password.

    :param environ: ``JENKINS_PROXY_IMAGE_REGISTRY_USER`` and ``_PASSWORD`` are taken out of it, and ``DOCKER_CONFIG``
        is set in it for the block. ``JENKINS_PROXY_IMAGE_REGISTRY`` is the registry's ``host[:port]``; without it,
        Docker Hub.
    :raises UsageError: when there is no Docker CLI to log in with.
    :raises DockerError: when the registry refuses or does not answer.
    """
    user, password, host = (_take(environ, name, console) for name in (USER, PASSWORD, HOST))
    if not user:
        yield
        return
    usual = environ.get("DOCKER_CONFIG")
    with tempfile.TemporaryDirectory(prefix="jenkins-proxy-") as folder:
        _copy_configuration(endpoint.config_folder(environ), Path(folder))
        environ["DOCKER_CONFIG"] = folder
        try:
            _login(host, user, password, environ, console)
            yield
        finally:
            environ.pop("DOCKER_CONFIG")
            if usual:
                environ["DOCKER_CONFIG"] = usual


def _take(environ: MutableMapping[str, str], name: str, console: Console) -> str:
    """The variable's value, taken out of the environment, by its old name where it is not set by the new one."""
    value, old_value = environ.pop(name, ""), environ.pop(DEPRECATED[name], "")
    if old_value:
        console.warning(f"{DEPRECATED[name]} is deprecated: use {name}")
    return value or old_value


def _login(host: str, user: str, password: str, environ: MutableMapping[str, str], console: Console) -> None:
    docker = processes.find("docker", environ)
    if not docker:
        raise UsageError(
            "no docker program to log in to an image registry with", "install the Docker CLI on this agent"
        )
    # `--` is not understood by every version; a host that begins with a dash is none.
    if host.startswith("-"):
        raise UsageError(f"image registry {host!r} is not a host name")
    argv = [docker, "login", f"--username={user}", "--password-stdin", *([host] if host else [])]
    done = processes.run(argv, env=environ, stdin=password, deadline=Deadline(_SECONDS))
    name = host or "Docker Hub"
    if done.returncode:
        reason = f"no answer within {_SECONDS:g} s" if done.timed_out else done.last_line
        raise DockerError(f"login to {name} failed: {reason}", "check imageRegistryCredentialsId and imageRegistry")
    console.step(f"logged in to {name} for this command")


def _copy_configuration(usual: Path, folder: Path) -> None:
    """Keep what the agent's own configuration gives (compose v2 is a plug-in there), but not its credential stores."""
    config: dict[str, Any] = {}
    for entry in usual.iterdir() if usual.is_dir() else ():
        if entry.name != "config.json":
            (folder / entry.name).symlink_to(entry.absolute())
            continue
        # Docker warns of a configuration that it cannot read, and goes on without it.
        with contextlib.suppress(OSError, ValueError):
            config = json.loads(entry.read_text(encoding="utf-8"))
    # With a credential store, the login would outlive this command and be everybody's.
    for store in ("credsStore", "credHelpers"):
        config.pop(store, None)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

"""What a stack's files say: read by ``docker stack config``, or by compose's ``config`` where the Docker CLI is older.

Docker CLI 20.10, which is Debian 12's, deploys stacks but cannot print them. Compose is the parser then, and no more.
What it prints is brought to what ``docker stack config`` says of the same files, so that a later CLI makes the same
tasks of them. Tried with CLI 20.10.24 and 28.2.2, compose 1.29.2 and 2.26.1; tests/orchestrator/test_stack.py holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.runner import Program, Runner, file_arguments
from jenkins_proxy.resources import file_of_package

_OLDEST_CLI = 23
# The newest that CLI 20.10 knows; it takes all that the older ones take.
_SCHEMA = "3.9"


def reads(program: Program) -> bool:
    """Whether this ``docker stack`` has ``config``. Source: docker/cli pull request 3544, in 23.0."""
    return int(program.version.partition(".")[0]) >= _OLDEST_CLI


def rendered(reader: Runner, project: str, files: Sequence[str]) -> dict[str, Any]:
    """The configuration of a stack's files as ``docker stack config`` prints it, and fit for the deploy of CLI 20.10.

    :param reader: runs ``docker stack``, compose v1 or compose v2.
    :param project: the stack's name; compose wants one.
    :raises UsageError: for files that are missing or wrong, or a reader that cannot read.
    """
    program = reader.program
    if program.name != "stack":
        no_env = str(file_of_package("orchestrator/none.env"))
        words = ["--env-file", no_env, "-p", project, *file_arguments(files, "-f"), "config"]
        return fitted(reader.config(words, files), variables(files, reader.environment))
    if not reads(program):
        raise UsageError(
            f"Docker CLI {program.version} has no `docker stack config`, and no compose is installed, "
            "which could read a stack's files in its place",
            f"install docker-compose or Docker's compose plug-in, or version {_OLDEST_CLI} or newer of the Docker CLI",
        )
    return reader.config(["config", *file_arguments(files, "-c")], files)


def fitted(config: Mapping[str, Any], variables: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What compose's ``config`` printed, as ``docker stack config`` prints it.

    Both versions double every ``$``, in keys too, so that their output is a compose file again.

    :param variables: by service, those whose value is known better than compose knows it.
    """
    document: dict[str, Any] = _undoubled(config)
    document.pop("name", None)
    document["version"] = _SCHEMA
    for name, data in (document.get("services") or {}).items():
        document["services"][name] = fit = _service(data)
        if variables.get(name):
            fit["environment"] = {**fit.get("environment", {}), **variables[name]}
    return document


def _undoubled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_undoubled(key): _undoubled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_undoubled(entry) for entry in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def _service(data: Mapping[str, Any]) -> dict[str, Any]:
    """A service without what compose alone knows, in the types of the stack's schema.

    Source: docker/cli ``cli/compose/schema/data/config_schema_v3.9.json``.
    """
    fit = {key: value for key, value in data.items() if value is not None}
    for key, change in _CHANGES.items():
        if key in fit:
            fit[key] = change(fit[key])
    return fit


def _each(change: Callable[[Mapping[str, Any]], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """The change of a list whose entries are in the long form; the short form is the same everywhere."""
    return lambda entries: [change(entry) if isinstance(entry, dict) else entry for entry in entries]


def _port(entry: Mapping[str, Any]) -> dict[str, Any]:
    # A stack's port has no address of its own: `docker stack` ignores the one of the short form, too.
    known = {key: entry[key] for key in ("target", "published", "protocol", "mode") if key in entry}
    return {key: _number(value) if key == "published" else value for key, value in known.items()}


def _volume(entry: Mapping[str, Any]) -> dict[str, Any]:
    bind, tmpfs = (dict(entry.get(kind) or {}) for kind in ("bind", "tmpfs"))
    bind.pop("create_host_path", None)
    fit = {**entry, "bind": bind, "tmpfs": {key: _number(value) for key, value in tmpfs.items()}}
    return {key: value for key, value in fit.items() if value not in ({}, None)}


def _file(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A secret or config of a service; compose v2 prints where a secret is when the file does not say."""
    usual = ("target", f"/run/secrets/{entry.get('source')}")
    fit = dict(item for item in entry.items() if item != usual)
    if isinstance(fit.get("mode"), str):
        fit["mode"] = int(fit["mode"], 8)
    return fit


def _deploy(data: Mapping[str, Any]) -> dict[str, Any]:
    if not data.get("resources"):
        return dict(data)
    resources = {
        kind: {key: str(value) if key == "cpus" else value for key, value in (amounts or {}).items()}
        for kind, amounts in data["resources"].items()
    }
    return {**data, "resources": resources}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


_CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "build": lambda build: {"context": build.get("context", ".")},
    "depends_on": list,
    "deploy": _deploy,
    "configs": _each(_file),
    "secrets": _each(_file),
    "ports": _each(_port),
    "volumes": _each(_volume),
    "extra_hosts": lambda hosts: [host.replace("=", ":", 1) for host in hosts] if isinstance(hosts, list) else hosts,
}


def variables(files: Sequence[str], environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What the services' env files say, by service, without what ``environment`` names: that has the last word.

    What cannot be known here, as a path has a variable or ``docker stack`` does not take a line, is left to compose.

    :param files: the stack's files, later ones over earlier ones; compose has found them to be right.
    :param environ: for names without a value, which are passed through.
    """
    found: dict[str, dict[str, str]] = {}
    named: dict[str, set[str]] = {}
    for file in files:
        for name, data in _services(file):
            mine = found.setdefault(name, {})
            for path in _paths(data.get("env_file")):
                mine.update(_read(os.path.join(os.path.dirname(files[0]), path), environ))
            said = data.get("environment") or ()
            named.setdefault(name, set()).update(str(entry).partition("=")[0] for entry in said)
    return {name: {key: value for key, value in mine.items() if key not in named[name]} for name, mine in found.items()}


def _services(file: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import yaml

    try:
        with open(file, encoding="utf-8") as stream:
            document = yaml.safe_load(stream) or {}
    except yaml.YAMLError:
        return  # compose v2 has tags of its own, which `docker stack` does not take
    for name, data in (document.get("services") or {}).items():
        yield name, data or {}


def _paths(entries: Any) -> list[str]:
    listed = [entries] if isinstance(entries, str) else entries or []
    return [entry["path"] if isinstance(entry, dict) else entry for entry in listed]


def _read(path: str, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Source: ``parseKeyValueFile`` in docker/cli ``opts/file.go``."""
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8-sig", newline="\n") as stream:
        for line in stream:
            written = re.fullmatch(r"\s*([^#\s=][^\s=]*)(?:=(.*?)|\s*)\r?\n?", line)
            if written and written[2] is not None:
                yield written[1], written[2]
            elif written and written[1] in environ:
                yield written[1], environ[written[1]]

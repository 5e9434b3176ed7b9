"""Compose files as they are written: for what has to be known before an orchestrator reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# In the order of compose v2; v1 knows the same names.
_FOUND = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_VARIABLE = "COMPOSE_PROJECT_NAME"
_ENV_FILES, _NO_ENV_FILE = "COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"
_TRUE = ("1", "t", "true", "y", "yes")
# One that has no other in it: those are put in first.
_PUT_IN = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-?+])([^${}]*))?\})")
_DEEPEST = 10


@dataclass(frozen=True)
class ProjectName:
    """A project's name, and why it is that one, in words."""

    name: str
    reason: str


def variables(files: Sequence[str], environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """What compose knows by name: the environment, and under it the ``.env`` files that it reads.

    That is the one beside the first compose file; where ``.env`` here says which file that is (``COMPOSE_FILE``), both.

    :param files: as they are given with ``-f``.
    :param folder: where compose runs.
    """
    if environ.get(_NO_ENV_FILE, "").lower() in _TRUE:
        return dict(environ)
    if environ.get(_ENV_FILES):
        written = [os.path.join(folder, name.strip()) for name in environ[_ENV_FILES].split(",")]
        return {**{name: value for file in written for name, value in dotenv(file).items()}, **environ}
    here = {} if files or environ.get("COMPOSE_FILE") else dotenv(os.path.join(folder, ".env"))
    known = {**here, **environ} if here.get("COMPOSE_FILE") else dict(environ)
    paths = located(files, known, folder)
    return {**(dotenv(os.path.join(os.path.dirname(paths[0]), ".env")) if paths else {}), **known}


def located(files: Sequence[str], environ: Mapping[str, str], folder: str) -> list[str]:
    """The compose files, as absolute paths: those given, else those of ``COMPOSE_FILE``, else those that compose finds.

    :param environ: as :func:`variables` has it.
    :param folder: from where it looks, upwards.
    """
    if not files and environ.get("COMPOSE_FILE"):
        files = environ["COMPOSE_FILE"].split(environ.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
    if files:
        return [os.path.abspath(os.path.join(folder, file)) for file in files]
    for above in (Path(folder), *Path(folder).parents):
        names = {name for name in (*_FOUND, *_OVERRIDES) if (above / name).is_file()}
        first = [name for name in _FOUND if name in names][:1]
        if first:
            return [str(above / name) for name in (*first, *[name for name in _OVERRIDES if name in names][:1])]
    return []


def raw(path: str) -> Mapping[str, Any]:
    """A compose file as it is written; nothing where it cannot be read, which compose says better."""
    import yaml

    class Loader(yaml.SafeLoader):
        """One that takes compose's own tags, as ``!reset``."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    try:
        with open(path, encoding="utf-8") as stream:
            document = yaml.load(stream, Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def is_version_1(path: str) -> bool:
    """Whether a file has the form of compose's first version: services at its top, and nothing else."""
    document = raw(path)
    return bool(document) and not {"version", "services", "name", "include"} & set(document)


def dotenv(path: str) -> dict[str, str]:
    """The variables of a ``.env`` file, which may be made of those above them; none where there is no such file."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    known: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"\s*(?:export\s+)?(\w+)\s*[=:]\s*(.*?)\s*", line)
        if match:
            value = _unquoted(match[2])
            known[match[1]] = value if match[2].startswith("'") else _with_variables(value, known)
    return known


def profiles(files: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The profiles that ``COMPOSE_PROFILES`` enables, of the environment or of ``.env``.

    :param files: as they are given.
    """
    known = variables(files, environ, os.getcwd())
    return [name.strip() for name in known.get("COMPOSE_PROFILES", "").split(",") if name.strip()]


def _unquoted(value: str) -> str:
    quoted = re.match(r"""(["'])(.*?)\1""", value)
    return quoted[2] if quoted else re.sub(r"\s+#.*", "", value)


def normal(name: str) -> str:
    """A name as compose makes a project's of it."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def said(paths: Sequence[str], known: Mapping[str, str]) -> ProjectName | None:
    """The project that the environment or the files name; None where they name none.

    :param paths: the files, with their folders.
    :param known: as :func:`variables` has it.
    """
    if known.get(_VARIABLE):
        return ProjectName(known[_VARIABLE], f"{_VARIABLE} says so")
    for path in reversed(paths):
        name = raw(path).get("name")
        if isinstance(name, str) and name:
            return ProjectName(_with_variables(name, known), f"the name: in {os.path.basename(path)}")
    return None


def plain(paths: Sequence[str], known: Mapping[str, str]) -> str:
    """The project that compose takes where nobody gives it one: as a person types ``docker compose build``.

    :param paths: the files, with their folders.
    :param known: as :func:`variables` has it.
    """
    named = said(paths, known)
    return named.name if named else normal(os.path.basename(os.path.dirname(paths[0]))) if paths else ""


def _with_variables(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found, form = known.get(match[1] or match[2]), match[3] or ""
        # With a colon also for a variable that is empty.
        missing = found is None or (form.startswith(":") and not found)
        if form.endswith("+"):
            return "" if missing else match[4]
        return (match[4] if form.endswith("-") else "") if missing else str(found)

    for _ in range(_DEEPEST):
        text = _PUT_IN.sub(value, text)
    return text

"""Env files of a stack's services, read as ``docker stack`` reads them: every value to its letter.

Compose reads them otherwise: it puts variables in and takes quotes and comments off, and a password that has a ``$``
would reach the tasks cut short. Tried with compose 1.29.2 (``${NAME}``) and 2.26.1 (``$NAME`` as well).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def variables(files: Sequence[str], environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What the services' env files say, by service, without what ``environment`` names: that has the last word.

    What cannot be told here, as a path has a variable or a line is none for ``docker stack``, is left to compose.

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

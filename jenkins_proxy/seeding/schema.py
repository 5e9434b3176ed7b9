"""Holds a seed file against its JSON Schema, with a text of our own for each rule, and puts variables in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import fastjsonschema

from jenkins_proxy import __version__
from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.resources import resource
from jenkins_proxy.seeding.yaml_positions import Document, Path

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# XML 1.0 cannot hold these, and no name, script or description needs one.
_FORBIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")

_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a number", "boolean": "true or false"}


def expand(document: Document, variables: Mapping[str, str]) -> Document:
    """Put the values of variables where ``{{ name }}`` stands, except in scripts, which have braces of their own.

    Every file has the variable ``version``, which is that of jenkins-proxy unless it is given.

    :param variables: values that take the place of the file's.
    :raises UsageError: for a variable that is not there, here or in the file, and for a control character.
    """
    own = document.data.get("variables") or {}
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        return document  # the schema says what is wrong
    defined = {"version": __version__, **own}
    unknown = sorted(set(variables) - set(defined))
    if unknown:
        raise UsageError(f"{document.name} has no variable {', '.join(unknown)}", f"it has: {', '.join(defined)}")
    values = {**defined, **variables}

    def filled(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        clean(value, document, path)
        return value if path[-1] == "script" else _VARIABLE.sub(lambda match: look_up(match.group(1), path), value)

    def look_up(name: str, path: Path) -> str:
        if name not in values:
            raise document.error(path, f"there is no variable {name!r}", f"known: {', '.join(values)}")
        return str(values[name])

    data = filled({**document.data, "variables": values}, ())
    return Document(document.name, data, document.marks, document.keys)


def clean(text: str, document: Document, path: Path) -> str:
    """The text itself, when config.xml can hold it."""
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        raise document.error(path, f"the character U+{ord(forbidden.group()):04X} cannot stand in a job")
    return text


def check(document: Document) -> None:
    """Raise what does not fit the schema, each at its place: the first mistake of each job, folder, view and service.

    :raises UsageError: as ``file:line:column: what``.
    """
    schema = json.loads(resource("seeding/schema.json").read_text(encoding="utf-8"))
    fits = fastjsonschema.compile(schema)
    data, problems = dict(document.data), Problems()
    while True:
        try:
            fits(data)
            break
        except fastjsonschema.JsonSchemaValueException as error:
            explained = _explained(document, error)
            problems.keep(explained)
            path = _path(error)
        if not _left_out(data, path):
            break
    problems.raise_any()


def _left_out(data: dict[str, Any], path: Path) -> bool:
    """Put something good in the place of what is wrong, so that the next mistake shows; False where that cannot be."""
    good = {
        "jobs": {"name": "x"},
        "folders": {"name": "x"},
        "views": {"name": "x"},
        "services": {"name": "x", "jobs": []},
    }
    if not path or path[0] not in (*good, "seed"):
        return False
    key = str(path[0])
    wrong = data[key]
    if len(path) == 1 or key == "seed":
        data[key] = "x" if key == "seed" else []
    else:
        data[key] = [good[key] if at == path[1] else item for at, item in enumerate(wrong)]
    return bool(data[key] != wrong)


def _path(error: fastjsonschema.JsonSchemaValueException) -> Path:
    return tuple(int(part) if part.isascii() and part.isdecimal() else part for part in error.path[1:])


def _explained(document: Document, error: fastjsonschema.JsonSchemaValueException) -> UsageError:
    path = _path(error)
    name = next((part for part in reversed(path) if isinstance(part, str)), "the file")
    if error.rule in ("additionalProperties", "propertyNames"):
        return _wrong_key(document, error, path, name)
    hint = ""
    if error.rule == "required":
        message = f"{', '.join(key for key in error.rule_definition if key not in error.value)} missing"
    elif error.rule == "type":
        wanted = [error.rule_definition] if isinstance(error.rule_definition, str) else error.rule_definition
        message = f"{name} must be {' or '.join(_TYPES[kind] for kind in wanted)}, not {_shown(error.value)}"
        hint = "put quotes around it" if "string" in wanted and not isinstance(error.value, (dict, list)) else ""
    elif error.rule == "pattern":
        message = f"{name}: {_shown(error.value)} is not {error.definition['description']}"
    elif error.rule == "enum":
        message = f"{name} must be one of {', '.join(map(_shown, error.rule_definition))}, not {_shown(error.value)}"
    else:
        message = f"{name} {error.message.partition(' ')[2]}"
    return document.error(path, message, hint)


def _wrong_key(document: Document, error: fastjsonschema.JsonSchemaValueException, path: Path, name: str) -> UsageError:
    if error.rule == "additionalProperties":
        known = sorted(error.definition["properties"])
        key = next(key for key in error.value if key not in known)
        message, hint = f"unknown key {key!r}", f"known here: {', '.join(known)}"
    else:
        pattern = error.rule_definition["pattern"]
        key = next(key for key in error.value if not re.match(pattern, key))
        message, hint = f"{key!r} cannot be a name in {name}", f"it must match {pattern}"
    return document.error((*path, key), message, hint, at_key=True)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."

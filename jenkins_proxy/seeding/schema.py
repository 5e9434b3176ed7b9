"""Holds a seed file against its JSON Schema, with a text of our own for each rule, and puts variables in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema

from jenkins_proxy import __version__
from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.resources import resource
from jenkins_proxy.seeding.yaml_positions import Document, Path

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# XML 1.0 cannot hold these, and no name, script or description needs one.
_FORBIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")

_MOST = 100
# What can stand where a mistake is.
_GOOD: dict[str, Any] = {"seed": "x", "name": "x", "url": "x", "jobs": []}
_GOOD_ITEMS: dict[str, Any] = {
    "folders": {"name": "x"},
    "services": {"name": "x", "jobs": []},
    "services jobs": {"name": "x"},
    "services jobs parameters": {"name": "x"},
    "jobs": {"name": "x"},
    "jobs parameters": {"name": "x"},
    "views": {"name": "x"},
}
_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a number", "boolean": "true or false"}


class Mistakes(Problems):
    """What is wrong in a seed file, and where: what has a mistake already is not looked at again."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: list[Path] = []

    def at(self, path: Path, error: UsageError) -> None:
        """Add one, at the value that it is about."""
        self.keep(error)
        self._paths.append(path)

    def touch(self, path: Path) -> bool:
        """Whether one is in the value at a path, or that value in one."""
        return any(one[: len(path)] == path or path[: len(one)] == one for one in self._paths)

    def raise_any(self) -> None:
        """Raise all of them as one error, in the order of the file."""
        places = {message: re.search(r":(\d+):(\d+): ", message) for message in self._found}
        at = {message: (int(place[1]), int(place[2])) if place else (0, 0) for message, place in places.items()}
        self._found = dict(sorted(self._found.items(), key=lambda found: at[found[0]]))
        super().raise_any()


def expand(document: Document, variables: Mapping[str, str], mistakes: Mistakes) -> Document:
    """Put the values of variables where ``{{ name }}`` stands, except in scripts, which have braces of their own.

    Every file has the variable ``version``, which is that of jenkins-proxy unless it is given.

    :param variables: values that take the place of the file's.
    :param mistakes: gets each variable that is not there, here or in the file, and each control character.
    """
    own = document.data.get("variables") or {}
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        return document  # the schema says what is wrong
    defined = {"version": __version__, **own}
    unknown = sorted(set(variables) - set(defined))
    if unknown:
        mistakes.keep(
            UsageError(f"{document.name} has no variable {', '.join(unknown)}", f"it has: {', '.join(defined)}")
        )
    values = {**defined, **{name: value for name, value in variables.items() if name in defined}}

    def filled(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            clean(value, document, path)
            return value if path[-1] == "script" else _VARIABLE.sub(lambda match: look_up(match.group(1), path), value)
        except UsageError as error:
            mistakes.at(path, error)
            return "x"

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


def check(document: Document, mistakes: Mistakes) -> Document:
    """The document as far as it fits the schema.

    :param mistakes: gets what does not, each as ``file:line:column: what``, up to a hundred.
    """
    schema = json.loads(resource("seeding/schema.json").read_text(encoding="utf-8"))
    fits = fastjsonschema.compile(schema)
    data = document.data
    for _ in range(_MOST):
        try:
            fits(data)
            break
        except fastjsonschema.JsonSchemaValueException as error:
            path = _path(error)
            mistakes.at((*path, *_keys(error)), _explained(document, error))
            data = _without(data, error, path)
    return Document(document.name, data, document.marks, document.keys)


def _without(data: Any, error: fastjsonschema.JsonSchemaValueException, path: Path) -> Any:
    """The same with something good in the place of what is wrong, so that the next mistake shows."""
    if error.rule == "required":
        missing = {key: _GOOD[key] for key in error.rule_definition if key not in error.value}
        return _replaced(data, path, lambda value: {**value, **missing})
    if error.rule in ("additionalProperties", "propertyNames"):
        wrong = _wrong_name(error)
        return _replaced(data, path, lambda value: {key: item for key, item in value.items() if key != wrong})
    *around, last = path
    if isinstance(last, int):
        kind = " ".join(step for step in around if isinstance(step, str))
        return _replaced(data, path, lambda value: _GOOD_ITEMS.get(kind, "x"))
    if last in _GOOD:
        return _replaced(data, path, lambda value: _GOOD[last])
    return _replaced(data, tuple(around), lambda value: {key: item for key, item in value.items() if key != last})


def _keys(error: fastjsonschema.JsonSchemaValueException) -> Path:
    """The key that is wrong or missing below the error's path, if it is about one: its neighbours may be good."""
    if error.rule == "required":
        return next((key,) for key in error.rule_definition if key not in error.value)
    return (_wrong_name(error),) if error.rule in ("additionalProperties", "propertyNames") else ()


def _replaced(data: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy in which the value at the path is what the change makes of it."""
    if not path:
        return change(data)
    step, *rest = path
    if isinstance(data, dict):
        return {**data, step: _replaced(data[str(step)], tuple(rest), change)}
    return [_replaced(item, tuple(rest), change) if at == step else item for at, item in enumerate(data)]


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


def _wrong_name(error: fastjsonschema.JsonSchemaValueException) -> str:
    """The first key that the rule does not allow."""
    if error.rule == "additionalProperties":
        wrong = [key for key in error.value if key not in error.definition["properties"]]
    else:
        wrong = [key for key in error.value if not re.match(error.rule_definition["pattern"], key)]
    return str(wrong[0])


def _wrong_key(document: Document, error: fastjsonschema.JsonSchemaValueException, path: Path, name: str) -> UsageError:
    key = _wrong_name(error)
    if error.rule == "additionalProperties":
        message, hint = f"unknown key {key!r}", f"known here: {', '.join(sorted(error.definition['properties']))}"
    else:
        message, hint = f"{key!r} cannot be a name in {name}", f"it must match {error.rule_definition['pattern']}"
    return document.error((*path, key), message, hint, at_key=True)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."

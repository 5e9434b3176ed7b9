"""YAML with the position of every value, so that each error about one says ``file:line:column``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

from jenkins_proxy.errors import UsageError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A YAML file, read.

    :ivar name: the file's name, as errors show it.
    :ivar data: plain dicts, lists and scalars.
    :ivar marks: where the value at a path begins, and where its key does: ``("jobs", 0, "name")`` → line and column,
        counted from 1.
    """

    name: str
    data: Any
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path, *, at_key: bool = False) -> str:
        """``file:line:column`` of a value, or of its key; of the nearest one around it when that has none."""
        marks = self.keys if at_key and path in self.keys else self.marks
        while path and path not in marks:
            path = path[:-1]
        line, column = marks.get(path, (1, 1))
        return f"{self.name}:{line}:{column}"

    def error(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> UsageError:
        """An error that begins with the place of a value, or of its key."""
        return UsageError(f"{self.place(path, at_key=at_key)}: {message}", hint)


def read(text: str, name: str) -> Document:
    """Read one YAML document.

    :raises UsageError: for what is no YAML, for a key given twice, a key that is no text, and an alias inside itself.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            return _Reader(name, loader).read()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UsageError(f"{name}:{line}:{column}: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise UsageError(
            f"{name}:{line}:{column}: the character U+{ord(text[error.position]):04X} cannot stand in a YAML file"
        ) from error


class _Reader:
    def __init__(self, name: str, loader: yaml.SafeLoader) -> None:
        self._document = Document(name, None)
        self._loader = loader
        self._open: list[int] = []

    def read(self) -> Document:
        node = self._loader.get_single_node()
        data = {} if node is None else self._value(node, ())
        return Document(self._document.name, data, self._document.marks, self._document.keys)

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._document.marks[path] = _place(node)
        if id(node) in self._open:
            raise self._document.error(path, "an alias stands inside what it names")
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_twins(node)
        # Puts what `<<:` names before the mapping's own pairs, which therefore win.
        self._loader.flatten_mapping(node)
        mapping = {}
        for key_node, value_node in node.value:
            key = key_node.value
            self._document.keys[(*path, key)] = _place(key_node)
            mapping[key] = self._value(value_node, (*path, key))
        return mapping

    def _refuse_twins(self, node: yaml.MappingNode) -> None:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            line, column = _place(key_node)
            where = f"{self._document.name}:{line}:{column}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise UsageError(f"{where}: a key must be text")
            if key_node.value in seen:
                raise UsageError(f"{where}: the key {key_node.value!r} is given twice")
            seen.add(key_node.value)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            # `2026-13-45` looks like a date to YAML, and is none.
            raise self._document.error(path, f"cannot be read: {error}") from error


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1

"""The rooms of the package and the arrows between them: from the contracts in ``pyproject.toml`` and the docstrings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.docs import sources

_PACKAGE = "jenkins_proxy"
Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def blocks(table: Table) -> dict[str, str]:
    """The picture of the arrows, and a table for each room that has layers of its own."""
    texts = {"arrows": _picture(layers(_PACKAGE))}
    for name, container in (
        ("rooms", _PACKAGE),
        ("rooms-proxy", f"{_PACKAGE}.proxy"),
        ("rooms-deployment", f"{_PACKAGE}.deployment"),
    ):
        modules = [module for layer in layers(container) for module in layer]
        rows = ((f"`{_shown(container, module)}`", summary(f"{container}.{module}")) for module in modules)
        texts[name] = table(("room", "what is there"), rows)
    return texts


def layers(container: str) -> list[list[str]]:
    """The layers of a package, from the top, each with its modules. An arrow goes to a lower layer only."""
    project = tomllib.loads((sources.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract["containers"] == [container]:
            return [[module.strip(" ()") for module in re.split(r"[|:]", layer)] for layer in contract["layers"]]
    raise LookupError(f"pyproject.toml has no contract of layers for {container}")


def summary(module: str) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(_file(module).read_text(encoding="utf-8"))) or ""
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split("\n\n")[0].split()))


def _file(module: str) -> Path:
    path = sources.REPOSITORY.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _shown(container: str, module: str) -> str:
    path = _file(f"{container}.{module}")
    inside = path.parent if path.name == "__init__.py" else path
    return str(inside.relative_to(sources.REPOSITORY / container.replace(".", "/"))) + (
        "/" if path.name == "__init__.py" else ""
    )


def _picture(rows: Sequence[Sequence[str]]) -> str:
    boxes = [f'    layer{at}["{" · ".join(row)}"]\n' for at, row in enumerate(rows)]
    arrows = f"    {' --> '.join(f'layer{at}' for at in range(len(rows)))}\n"
    return f"```mermaid\nflowchart TD\n{''.join(boxes)}{arrows}```\n"

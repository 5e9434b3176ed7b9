"""Whatever changes something asks before whether the lock is still held: read from the code, each function by itself.

How a deploy ends that has lost its lock at each of its changes is in ``deploy/test_failing.py``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jenkins_proxy.deployment

ROOM = Path(jenkins_proxy.deployment.__file__).parent
ENGINE = {"up", "surge", "scale", "stop", "remove", "restore", "start_needs", "clone_standby", "remove_standby"}
ENGINE |= {"remove_belongings"}
# By whom it is asked of.
CHANGES = {
    "orchestrator": ENGINE,
    "base": ENGINE,
    "proxy": {"put_route", "remove_route", "hold", "promote", "demote", "end_hold", "drain", "resume"},
    "registry": {"deregister"},
}
ASKS = {"confirm", "ensure_held"}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Those of modules and classes, each with what is defined within."""
    for path in sorted(ROOM.rglob("*.py")):
        module = ast.parse(path.read_text())
        for place in (module, *(node for node in module.body if isinstance(node, ast.ClassDef))):
            for node in place.body:
                if isinstance(node, ast.FunctionDef):
                    yield f"{path.relative_to(ROOM)}:{node.name}", node


def calls(function: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    """The line, of whom, and what, of each call; without those that only look."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            whose = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if not any(keyword.arg == "dry_run" for keyword in node.keywords):
                yield node.lineno, whose.lstrip("_"), node.func.attr


def changes(function: ast.FunctionDef) -> list[tuple[int, str]]:
    return [(line, name) for line, whose, name in sorted(calls(function)) if name in CHANGES.get(whose, ())]


def unconfirmed(function: ast.FunctionDef) -> list[str]:
    """What a function changes without a question since the change before. Branches are read one after the other."""
    asked = [line for line, _, name in calls(function) if name in ASKS]
    found, since = [], 0
    for line, name in changes(function):
        if not any(since < question < line for question in asked):
            found.append(f"{name} in line {line}")
        since = line
    return found


def test_whatever_changes_something_asks_before_for_the_lock():
    changing = {name: function for name, function in functions() if changes(function)}
    assert len(changing) > 20
    found = {name: unconfirmed(function) for name, function in changing.items()}
    # To stop a container and to remove it, side by side with others, is one change.
    assert len(found.pop("steps/drain.py:retire")) == 1
    assert {name: lines for name, lines in found.items() if lines} == {}

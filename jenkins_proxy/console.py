"""What the commands print for people, on stderr; stdout is left to the JSON for machines.

    [jenkins-proxy] * a step of the flow
    [jenkins-proxy] > docker-compose -p books-ms up -d      a command that is run
    [jenkins-proxy] < Creating booksms_app_1 ... done       its output
    [jenkins-proxy] WARNING: …    ERROR: …    HINT: …

ASCII, a line at a time, flushed: a Jenkins console shows it as it happens. Color only on a terminal or with
FORCE_COLOR, never with NO_COLOR.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

PREFIX = "[jenkins-proxy]"
_COLORS = {"ERROR": "31", "WARNING": "33", "HINT": "36", "*": "1", ">": "2", "<": "2"}


class Console:
    """Writes the lines above.

    :param stream: where to; ``sys.stderr`` when not given, looked up at each line so that tests can capture it.
    :param service: stands at the beginning of each line: several write to one console.
    """

    def __init__(self, stream: TextIO | None = None, service: str = "") -> None:
        self._stream = stream
        self._prefix = f"{PREFIX} [{service}]" if service else PREFIX

    def step(self, text: str) -> None:
        self._write("*", f"* {text}")

    def command(self, argv: list[str]) -> None:
        self._write(">", "> " + " ".join(argv))

    def output(self, line: str) -> None:
        self._write("<", f"< {line}")

    def warning(self, text: str) -> None:
        self._write("WARNING", f"WARNING: {text}")

    def error(self, text: str, hint: str = "") -> None:
        self._write("ERROR", f"ERROR: {text}")
        if hint:
            self._write("HINT", f"HINT: {hint}")

    def _write(self, kind: str, text: str) -> None:
        stream = self._stream or sys.stderr
        # A control character in a container's output must not move the cursor or forge a line of ours.
        line = f"{self._prefix} {printable(text)}"
        if _colored(stream):
            line = f"\x1b[{_COLORS[kind]}m{line}\x1b[0m"
        with _survive_closed(stream):
            try:
                stream.write(line + "\n")
            except UnicodeEncodeError:
                stream.write(line.encode("ascii", "backslashreplace").decode() + "\n")
            stream.flush()


def printable(text: str) -> str:
    """The text in one line, with a question mark for each control character but the tab."""
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in text)


def _colored(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def print_json(data: Any) -> None:
    """The machine's answer: one JSON document on stdout."""
    print_text(json.dumps(data, indent=2))


def json_wanted(asked: bool, file: str | None) -> bool:
    """Whether a command prints its result on stdout.

    :param asked: whether ``--json`` is given.
    :param file: where the result goes instead; empty for nowhere. On a terminal it goes nowhere either: a person has
        read it on stderr, line by line.
    """
    return asked or not (file or sys.stdout.isatty())


def print_text(text: str) -> None:
    """An answer on stdout."""
    with _survive_closed(sys.stdout):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def _survive_closed(stream: TextIO) -> Iterator[None]:
    """Write to a pipe that may have been closed, as by ``| head``: a deploy is not broken off for want of a reader."""
    try:
        yield
    except BrokenPipeError:
        # Python tries again at its end what is still in the buffer, and would fail then.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

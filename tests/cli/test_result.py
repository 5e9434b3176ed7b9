"""Where a command's result goes: JSON on a pipe, nothing on a terminal, where a person has read it line by line."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

# A name that is none: they end at once, and their result says why.
COMMANDS = [["remove", "a b"], ["wait", "a b"], ["reconfigure", "a b", "--path", "/a"]]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])


def on_a_terminal(*words: str) -> tuple[str, str]:
    """What the command writes on stdout, a terminal, and on stderr, a pipe."""
    reader, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "jenkins_proxy", *words],
        check=False,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(terminal)
    chunks = []
    # Linux ends a terminal that nobody writes to with EIO.
    with contextlib.suppress(OSError):
        while chunk := os.read(reader, 65536):
            chunks.append(chunk)
    os.close(reader)
    assert done.returncode == 2, done.stderr
    return b"".join(chunks).decode(), done.stderr


@every_command
def test_a_terminal_gets_no_json(command):
    stdout, stderr = on_a_terminal(*command)

    assert stdout == ""
    assert "ERROR: service 'a b' is not allowed" in stderr


@every_command
def test_a_terminal_gets_json_when_it_is_asked_for(command):
    assert json.loads(on_a_terminal(*command, "--json")[0])["error"]["code"] == 2


@every_command
def test_a_file_gets_it_on_a_terminal_as_well(command, tmp_path: Path):
    file = tmp_path / "report.json"

    assert on_a_terminal(*command, "--report", str(file))[0] == ""
    assert json.loads(file.read_text())["error"]["code"] == 2


def test_seed_is_no_exception():
    words = ["seed", "/nowhere.yaml", "--jenkins", "nowhere"]

    assert on_a_terminal(*words)[0] == ""
    assert json.loads(on_a_terminal(*words, "--json")[0])["error"]["code"] == 2


@every_command
def test_a_pipe_gets_json(command):
    done = subprocess.run(
        [sys.executable, "-m", "jenkins_proxy", *command], check=False, capture_output=True, timeout=60
    )

    assert json.loads(done.stdout)["error"]["code"] == 2

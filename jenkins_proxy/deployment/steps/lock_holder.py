"""Who holds a lock: what is written into the registry of a process, and what is told of it."""

from __future__ import annotations

import datetime
import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jenkins_proxy import validation

_ENDED = ("Z", "X")


def describe(holder: Mapping[str, Any]) -> str:
    """Who holds a lock, in words: ``jenkins on agent-1 (pid 4711) since 12:00:01, build http://…/17/``."""
    who = f"{holder.get('who', 'somebody')} on {holder.get('host', 'an unknown host')} (pid {holder.get('pid', '?')})"
    build = f", build {holder['build']}" if holder.get("build") else ""
    service = f", service {holder['service']}" if holder.get("service") else ""
    return f"{who} since {holder.get('since', 'an unknown time')}{build}{service}"


def parse(value: bytes) -> dict[str, Any]:
    try:
        data = validation.parse_json(value)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def ourselves(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "who": _user(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": _process(os.getpid()),
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "build": environ.get("BUILD_URL") or environ.get("BUILD_TAG") or "",
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An agent's container may run under a user ID that has no name.
        return f"uid {os.getuid()}"


def _place() -> str:
    """This boot of this machine and this PID namespace: a process ID means something only there."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _process(pid: int) -> str:
    """An identity that no other process ever has: where it runs, its ID and when it was started.

    Empty when it has ended, and where ``/proc`` does not say it.
    """
    try:
        # The 3rd field is the state and the 22nd the start time; the 2nd, in parentheses, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # In an agent's container often no init process reaps: a killed process stays there as a zombie.
        return "" if fields[0] in _ENDED else f"{_place()} {pid} {fields[19]}"
    except (OSError, IndexError):
        return ""


def is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this very machine and runs no more."""
    process, pid = holder.get("process"), holder.get("pid")
    if not isinstance(process, str) or not process or not isinstance(pid, int):
        return False
    try:
        here = _place()
    except OSError:
        return False
    return process.startswith(here + " ") and _process(pid) != process

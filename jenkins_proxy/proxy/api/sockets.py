"""What the daemon holds alone: the port that it listens on, and its state directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address

_BACKLOG = 1024


def take_port(address: Address, option: str) -> socket.socket:
    """A socket that listens, from now on: before anything is started that a taken port would have to undo.

    :raises UsageError: when the address is taken, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address.host, address.port))
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        hint = "another daemon runs, or another program has it: `ss -ltnp` tells; choose another port"
        reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot listen on {option} {address}: {reason}", hint if error.errno == errno.EADDRINUSE else ""
        ) from error
    return taken


@contextlib.contextmanager
def own_directory(path: Path) -> Iterator[None]:
    """Have a state directory for ourselves: made when it is not there, and locked until the end.

    The kernel lets go of the lock with the process, so a killed daemon leaves none behind.

    :raises UsageError: when it cannot be written, or another daemon has it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise UsageError(
            f"cannot write the state directory {path}: {error.strerror}",
            "give one that this user may write with --state-dir",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise UsageError(
                f"another daemon (process {lock.read(20).strip() or '?'}) uses the state directory {path}",
                "stop it, or give this one its own --state-dir",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield

"""The directory that holds what outlives a restart of the daemon."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jenkins_proxy.errors import UsageError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have a state directory for this process alone: made when it is missing, and locked until the end.

    The kernel releases the lock with the process, so a killed daemon leaves none behind.

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
        # On a full disk only the text of a message is lost.
        with contextlib.suppress(OSError):
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())
        yield

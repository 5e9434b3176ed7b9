"""HAProxy's master, or what works for it, as a process that an event loop looks after, and that may outlive it.

asyncio's own subprocesses are killed when their transport is collected, at the latest with the interpreter.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from jenkins_proxy import processes

# Those that run on without us: Python warns of a process that it forgets.
_LEFT: list[processes.Process] = []


class Child:
    """One process; :meth:`started` makes it.

    :ivar stderr: what it writes there.
    """

    def __init__(
        self, process: processes.Process, stderr: asyncio.StreamReader, transport: asyncio.BaseTransport
    ) -> None:
        self._process, self.stderr, self._transport = process, stderr, transport
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._fd, self._reap)

    @classmethod
    async def started(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: BinaryIO | None = None,
        stdout: BinaryIO | None = None,
    ) -> Child:
        """Start it.

        :param stdin: a file that it reads; None: it is at its end.
        :param stdout: a file for what it writes there; None: it is lost.
        :raises FileNotFoundError: when the program is not there.
        """
        process = processes.start_piped(argv, env=env, cwd=cwd, stdin=stdin, stdout=stdout)
        stderr = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stderr), process.stderr
        )
        return cls(process, stderr, transport)

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end: how it ended, or minus the number of the signal that ended it."""
        await self._ended.wait()
        return self._process.wait()

    def send_signal(self, signum: signal.Signals) -> None:
        """:raises ProcessLookupError: when it has ended."""
        if self._process.poll() is not None:
            raise ProcessLookupError
        self._process.send_signal(signum)

    def leave(self) -> None:
        """Look after it no more; what runs goes on."""
        self._forget()
        self._transport.close()
        if self._process.poll() is None:
            _LEFT.append(self._process)

    def _reap(self) -> None:
        self._process.poll()
        self._ended.set()
        self._forget()

    def _forget(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def left_behind(folder: Path, id_file: str) -> int:
    """The process ID of a HAProxy master that runs in this folder and is not ours any more, or 0."""
    try:
        pid = int((folder / id_file).read_text())
        runs_here = Path(f"/proc/{pid}/cwd").samefile(folder)
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return 0
    return pid if runs_here and name == "haproxy" else 0


def parent(pid: int) -> int:
    """The process ID of a process's parent, or 0 where it has ended."""
    try:
        # The name before it may hold spaces and parentheses (proc(5)).
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0

"""The access log in a file: HAProxy writes into a pipe, and a ``cat`` appends what comes out of it to the file.

Were the file HAProxy's own stdout, processes that serve beside each other would write over each other's lines: with its
first line a worker makes its stdout one that never waits, and by that clears all other flags (``fd_set_nonblock`` of
``include/haproxy/fd.h``), the one for writing at the end among them. And requests would wait for a slow disk.

Both outlive the daemon: a ``cat`` ends when the last HAProxy that writes into its pipe has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from pathlib import Path
from typing import BinaryIO

from jenkins_proxy.aio import cancel_all, with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy import child, program

_LOG = logging.getLogger(__name__)

_PIPE_SIZE = 1024 * 1024
"""Bytes that wait for the disk: the most that Linux gives to everybody (pipe(7), ``/proc/sys/fs/pipe-max-size``)."""


class LogFile:
    """One file, and the pipe into it, for every HAProxy that this daemon starts.

    :param path: of the file.
    :param retry: seconds after which it is tried again when it could not be written.
    """

    def __init__(self, path: str, retry: float) -> None:
        self._path = path
        self._retry = retry
        self._pipe: tuple[BinaryIO, BinaryIO] | None = None
        self._appender: child.Child | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> BinaryIO:
        """What HAProxy gets as its stdout. The file is looked after from now on, until :meth:`leave` or :meth:`close`.

        :raises ProxyError: when it cannot be written.
        """
        if self._pipe is None:
            self._pipe = _pipe()
            try:
                self._appender = await _append(self._pipe[0], self._path)
            except ProxyError:
                self._close_pipe()
                raise
            self._keeper = asyncio.create_task(self._keep(self._pipe[0], self._appender))
        return self._pipe[1]

    @property
    def pid(self) -> int:
        """The process ID of what appends to it; 0 when nothing does."""
        return self._appender.pid if self._appender else 0

    async def leave(self) -> None:
        """Look after it no more: it is written on while a HAProxy lives."""
        if self._keeper:
            await cancel_all([self._keeper])
            self._keeper = None
        if self._appender:
            self._appender.leave()
            self._appender = None
        self._close_pipe()

    async def close(self, seconds: float) -> None:
        """Let what HAProxy wrote before it ended get into the file, and look after it no more.

        :param seconds: to wait for a slow disk.
        """
        if self._keeper:
            await cancel_all([self._keeper])
        self._close_pipe()
        if self._appender:
            with contextlib.suppress(TimeoutError):
                await with_timeout(self._appender.wait(), seconds)
        await self.leave()

    async def _keep(self, pipe: BinaryIO, appender: child.Child | None) -> None:
        """Start it again when it ends: a disk is full, or somebody has killed it."""
        told = ""
        while True:
            try:
                self._appender = appender or await _append(pipe, self._path)
                said = (await self._appender.stderr.read()).decode(errors="replace")
                code = await self._appender.wait()
                self._appender.leave()
                reason = " ".join(said.split()) or f"cat ended with code {code}"
            except ProxyError as error:
                reason = error.message
            appender = None
            if reason != told:
                _LOG.warning("%s: lines of the access log may be lost until it can be written", reason)
                told = reason
            await asyncio.sleep(self._retry)

    def _close_pipe(self) -> None:
        for end in self._pipe or ():
            end.close()
        self._pipe = None


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    """Both ends of a new one."""
    reader, writer = os.pipe()
    # Less than it asked for is enough for a while.
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0)


async def _append(pipe: BinaryIO, path: str) -> child.Child:
    """Start what appends to a file.

    :raises ProxyError: when the file cannot be written.
    """
    try:
        with await asyncio.to_thread(open, path, "ab", 0) as file:
            return await child.Child.started(
                ("cat",), env=program.environment(), cwd=Path("/"), stdin=pipe, stdout=file
            )
    except OSError as error:
        raise ProxyError(f"cannot write the access log {path}: {error.strerror}") from error

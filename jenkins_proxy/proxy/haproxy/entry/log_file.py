"""The access log's file: HAProxy goes on at its end after logrotate has truncated it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import BinaryIO


class LogFile:
    """Keeps HAProxy writing at the end of its file, wherever that is.

    With its first line, each worker makes its stdout one that never waits, and by that clears all other flags
    (``fd_set_nonblock`` of ``include/haproxy/fd.h``), the one for writing at the end among them. Without that one it
    would go on where it was, and a file that was truncated would begin with as many zeros.

    :param poll: seconds between two looks.
    """

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._descriptor = -1

    def take(self, file: BinaryIO | None) -> None:
        """HAProxy was started with this file as its stdout; None: it writes none."""
        self.close()
        if file:
            # Flags belong to what is opened once, and that is the same in HAProxy.
            self._descriptor = os.dup(file.fileno())

    async def run(self) -> None:
        """Look after it, until cancelled."""
        while True:
            await asyncio.sleep(self._poll)
            self.look()

    def look(self) -> None:
        """Set the flag where it was cleared."""
        if self._descriptor < 0:
            return
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        if not flags & os.O_APPEND:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_APPEND)

    def close(self) -> None:
        """Look after it no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

"""Work in the background that is not forgotten: held, told when it fails, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Callable

from jenkins_proxy.ending import end


class Tasks:
    """A set of tasks.

    :param failed: called with the error of a task that failed: a bug, as each handles what it expects.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        # The loop itself holds a task only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def end(self) -> None:
        """Cancel all, and wait until they have ended."""
        await end(self._tasks)

    def _done(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._failed(task.exception())

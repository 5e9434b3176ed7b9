"""How work in an event loop ends: within its time, or cancelled and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")

_CANCEL_AGAIN = 0.2
"""Seconds after which a task that swallowed its cancellation is cancelled again."""


async def with_timeout(work: Awaitable[Result], seconds: float) -> Result:
    """What the work gives, if it ends within so many seconds; otherwise it is cancelled.

    Before Python 3.12 ``asyncio.wait_for`` drops a cancellation that comes together with the result: a loop that waits
    with it could miss its end, and whoever ended it would wait for ever.

    :raises TimeoutError: when the work takes longer.
    """
    async with asyncio.timeout(seconds):
        return await work


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended, however they end.

    A library may drop a cancellation, as ``asyncio.wait_for`` does: then it comes again.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _done, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN)


class TaskGroup:
    """A set of tasks that come and go one by one, where the failure of one does not end the others.

    :param failed: called with the error of a task that failed: a bug, as each handles what it expects.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        # The loop itself holds a task only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def cancel_all(self) -> None:
        """Cancel all, and wait until they have ended."""
        await cancel_all(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error:
            self._failed(error)

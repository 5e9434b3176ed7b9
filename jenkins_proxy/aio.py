"""How work in an event loop ends: within its time, or cancelled and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")

_AGAIN = 0.2


async def with_timeout(work: Awaitable[Result], seconds: float) -> Result:
    """What the work gives, if it ends within so many seconds; it is cancelled otherwise.

    Before Python 3.12 ``asyncio.wait_for`` drops a cancellation that comes together with the result: a loop that waits
    with it could miss its end, and whoever ended it would wait for ever.

    :raises asyncio.TimeoutError: when it does not.
    """
    async with asyncio.timeout(seconds):
        return await work


async def end(tasks: Iterable[asyncio.Future]) -> None:
    """Cancel tasks and wait until they have ended, however they end.

    A library may drop a cancellation, as ``asyncio.wait_for`` does: then it comes again.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _done, pending = await asyncio.wait(pending, timeout=_AGAIN)


class TaskGroup:
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

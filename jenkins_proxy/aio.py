"""How work in an event loop ends: within its time, or cancelled and waited for."""

from __future__ import annotations

import asyncio
import time
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

    :param failed: called with the name of what failed, empty for a task of :meth:`start`, and its error: a bug, as each
        handles what it expects.
    :param min_pause: seconds after which a part that died is started again. Each next pause is twice as long, up to
        ``max_pause``.
    :ivar down: why parts do not run, by their names. One that died is down until it has run for ``max_pause`` again.
    """

    def __init__(
        self, failed: Callable[[str, BaseException], None], *, min_pause: float = 0.1, max_pause: float = 10.0
    ) -> None:
        self._failed = failed
        self._min_pause, self._max_pause = min_pause, max_pause
        self._tasks: set[asyncio.Task[None]] = set()
        self.down: dict[str, str] = {}

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something once."""
        task = asyncio.create_task(work)
        # The loop itself holds a task only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """:meth:`supervise` in a task of its own."""
        self.start(self.supervise(name, work))

    async def supervise(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something until it ends by itself: when it dies of an error it is started again, after a pause."""
        pause = self._min_pause
        while True:
            begin = time.monotonic()
            runs_again = asyncio.get_running_loop().call_later(self._max_pause, self.down.pop, name, None)
            try:
                await work()
                self.down.pop(name, None)
                return
            except Exception as error:
                self.down[name] = repr(error)
                self._failed(name, error)
            finally:
                runs_again.cancel()
            if time.monotonic() - begin > self._max_pause:
                pause = self._min_pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._max_pause)

    async def cancel_all(self) -> None:
        """Cancel all, and wait until they have ended."""
        await cancel_all(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error:
            self._failed("", error)

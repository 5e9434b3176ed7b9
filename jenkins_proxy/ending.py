"""How work in an event loop ends: within its time, or cancelled and waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Iterable
from typing import TypeVar

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

Result = TypeVar("Result")

_AGAIN = 0.2


async def in_time(work: Awaitable[Result], seconds: float) -> Result:
    """What the work gives, if it ends within so many seconds; it is cancelled otherwise.

    Before Python 3.12 ``asyncio.wait_for`` drops a cancellation that comes together with the result: a loop that waits
    with it could miss its end, and whoever ended it would wait for ever.

    :raises asyncio.TimeoutError: when it does not.
    """
    async with timeout(seconds):
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

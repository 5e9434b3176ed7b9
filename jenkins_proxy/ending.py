"""The one way to end work in the background: cancelled, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

_AGAIN = 0.2


async def end(tasks: Iterable[asyncio.Future]) -> None:
    """Cancel tasks and wait until they have ended, however they end.

    Before Python 3.12 ``asyncio.wait_for`` can swallow a cancellation that comes with its result: then it comes again.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _done, pending = await asyncio.wait(pending, timeout=_AGAIN)

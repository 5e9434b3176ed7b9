"""Ending work that does not listen at first."""

from __future__ import annotations

import asyncio

from jenkins_proxy.ending import end


async def test_a_cancellation_that_was_swallowed_comes_again():
    async def deaf() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await end([task])
    assert task.cancelled()

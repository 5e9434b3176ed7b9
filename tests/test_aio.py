"""Ending work that does not listen at first, and work that is ended at the moment in which it has its result."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.aio import cancel_all, with_timeout


async def test_a_cancellation_that_was_swallowed_comes_again():
    async def deaf() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert task.cancelled()


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_that_comes_with_the_result_is_not_lost(turns):
    come = asyncio.Event()

    async def work() -> None:
        while True:
            await with_timeout(come.wait(), 3600)
            come.clear()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    come.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


async def test_what_takes_too_long_is_cancelled():
    task = asyncio.create_task(asyncio.sleep(3600))
    with pytest.raises(TimeoutError):
        await with_timeout(task, 0.01)
    assert task.cancelled()


async def test_a_result_in_time():
    assert await with_timeout(asyncio.sleep(0, "done"), 5) == "done"

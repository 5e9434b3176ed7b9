"""Work in the background: told when it fails, and ended together."""

from __future__ import annotations

import asyncio

from jenkins_proxy.aio import TaskGroup


async def test_a_task_that_fails_is_told():
    failures: list[BaseException] = []
    told = asyncio.Event()

    def failed(error: BaseException) -> None:
        failures.append(error)
        told.set()

    async def fail() -> None:
        raise ValueError("a bug")

    TaskGroup(failed).start(fail())
    await told.wait()
    assert repr(failures) == "[ValueError('a bug')]"


async def test_ended_tasks_are_no_failures():
    failures: list[BaseException] = []
    tasks = TaskGroup(failures.append)
    for _ in range(3):
        tasks.start(asyncio.sleep(3600))
    await tasks.cancel_all()
    assert (failures, len(asyncio.all_tasks())) == ([], 1)

"""Work in the background: told when it fails, and ended together."""

from __future__ import annotations

import asyncio

from jenkins_proxy.aio import TaskGroup


async def test_a_task_that_fails_is_told():
    failures: list[BaseException] = []
    told = asyncio.Event()

    def failed(_name: str, error: BaseException) -> None:
        failures.append(error)
        told.set()

    async def fail() -> None:
        raise ValueError("a bug")

    TaskGroup(failed).start(fail())
    await told.wait()
    assert repr(failures) == "[ValueError('a bug')]"


async def test_ended_tasks_are_no_failures():
    failures: list[BaseException] = []
    tasks = TaskGroup(lambda _name, error: failures.append(error))
    for _ in range(3):
        tasks.start(asyncio.sleep(3600))
    await tasks.cancel_all()
    assert (failures, len(asyncio.all_tasks())) == ([], 1)


async def test_a_part_that_dies_is_started_again_and_down_until_it_has_run_a_while():
    failures: list[tuple[str, str]] = []
    tasks = TaskGroup(lambda name, error: failures.append((name, str(error))), min_pause=0.001, max_pause=0.02)
    runs, lives = [], asyncio.Event()

    async def part() -> None:
        runs.append(dict(tasks.down))
        if len(runs) < 3:
            raise ValueError(f"bug {len(runs)}")
        lives.set()
        await asyncio.sleep(3600)

    tasks.keep("a part", part)
    await lives.wait()
    assert failures == [("a part", "bug 1"), ("a part", "bug 2")]
    assert runs == [{}, {"a part": "ValueError('bug 1')"}, {"a part": "ValueError('bug 2')"}]
    assert "a part" in tasks.down
    await asyncio.sleep(0.05)
    assert tasks.down == {}
    await tasks.cancel_all()
    assert len(asyncio.all_tasks()) == 1


async def test_a_part_that_ends_by_itself_is_not_started_again():
    tasks = TaskGroup(lambda _name, error: None)
    runs = []

    async def part() -> None:
        runs.append(1)

    await tasks.supervise("a part", part)
    assert (runs, tasks.down) == ([1], {})

"""The ring of events: what a reader gets that comes late, comes back, or is slow."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.events import Event, EventLog, event_json


def filled(count: int, capacity: int = 5) -> EventLog:
    event_log = EventLog(capacity, epoch=1000)
    for number in range(1, count + 1):
        event_log.add(Event(float(number), "reload"))
    return event_log


def times(event_log: EventLog, position: int) -> list[float]:
    return [event.time for _, event in event_log.after(position)]


def test_a_reader_gets_what_came_after_its_position() -> None:
    assert times(filled(3), 1) == [2.0, 3.0]
    assert times(filled(3), 3) == []


def test_a_slow_reader_misses_only_what_the_ring_has_lost() -> None:
    assert times(filled(8), 1) == [4.0, 5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize(
    ("identifier", "position"),
    [
        ("1000-2", 2),
        ("1000-3", 3),
        ("1000-99", 3),
        ("999-2", 0),
        ("", 0),
        ("1000-", 0),
        ("1000--1", 0),
        ("x", 0),
        ("1000-" + "9" * 10_000, 3),
        ("1000-²", 0),
    ],
)
def test_a_reader_that_comes_back_goes_on_and_one_of_another_run_begins_anew(identifier: str, position: int) -> None:
    event_log = filled(3)
    assert event_log.position(identifier) == position
    assert event_log.position(event_log.identifier(2)) == 2


async def test_waiting_ends_with_the_next_event_for_every_reader() -> None:
    event_log = filled(0)
    readers = [asyncio.ensure_future(event_log.wait(0, timeout=20)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(reader.done() for reader in readers)
    event_log.add(Event(1.0, "reload"))
    await asyncio.gather(*readers)
    await event_log.wait(0, timeout=20)  # what is there already is not waited for


async def test_waiting_ends_with_its_time_and_with_the_journal() -> None:
    event_log = filled(1)
    await event_log.wait(1, timeout=0.001)
    reader = asyncio.ensure_future(event_log.wait(1, timeout=20))
    await asyncio.sleep(0)
    event_log.close()
    await reader
    await event_log.wait(1, timeout=20)
    assert event_log.closed


def test_an_event_is_json_ready() -> None:
    event = Event(1.0, "instance-up", "books-ms", Address("::1", 80), "new", 0.5)
    assert event_json(event) == {
        "time": 1.0,
        "kind": "instance-up",
        "service": "books-ms",
        "address": "[::1]:80",
        "detail": "new",
        "seconds": 0.5,
    }
    assert event_json(Event(1.0, "reload"))["address"] is None

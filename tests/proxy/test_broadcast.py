"""Events to many readers."""

from __future__ import annotations

from jenkins_proxy.proxy import broadcast
from jenkins_proxy.proxy.broadcast import Broadcast


async def test_each_reader_gets_what_comes_after_it_subscribed():
    events = Broadcast()
    first = events.subscribe()
    events.tell("reload")
    second = events.subscribe()
    events.tell("route-put", "books")
    assert [(await first.__anext__()).kind, (await first.__anext__()).kind] == ["reload", "route-put"]
    assert (await second.__anext__()).service == "books"


async def test_a_slow_reader_loses_the_oldest(monkeypatch):
    monkeypatch.setattr(broadcast, "_CAPACITY", 3)
    events = Broadcast()
    slow = events.subscribe()
    for number in range(10):
        events.tell("reload", detail=str(number))
    assert [(await slow.__anext__()).detail for _ in range(3)] == ["7", "8", "9"]

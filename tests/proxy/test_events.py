"""Events to many readers."""

from __future__ import annotations

from jenkins_proxy.proxy.events import EventBus


async def test_each_reader_gets_what_comes_after_it_subscribed():
    feed = EventBus()
    first = feed.subscribe()
    feed.publish("reload")
    second = feed.subscribe()
    feed.publish("route-put", "books")
    assert [(await first.__anext__()).kind, (await first.__anext__()).kind] == ["reload", "route-put"]
    assert (await second.__anext__()).service == "books"


async def test_a_slow_reader_loses_the_oldest():
    feed = EventBus(capacity=3)
    slow = feed.subscribe()
    for number in range(10):
        feed.publish("reload", detail=str(number))
    assert [(await slow.__anext__()).detail for _ in range(3)] == ["7", "8", "9"]

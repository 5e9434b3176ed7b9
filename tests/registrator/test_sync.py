"""Which entries are desired after which events."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.registrator.service_entries import ServiceEntry
from jenkins_proxy.registrator.sync import DesiredEntries, EntrySync, Timing, signal_number


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desired(clock):
    return DesiredEntries(clock=clock)


def running(container_id="c1", started="2026-01-01", stop_signal=None):
    return {"Id": container_id, "State": {"StartedAt": started}, "Config": {"StopSignal": stop_signal}}


def entry(port=1, id_="h:a:80"):
    return ServiceEntry(id_, "a", "10.0.0.1", port)


def test_a_running_container_is_desired_until_it_ends(desired):
    assert desired.runs(running(), [entry()]) == {"h:a:80"}
    assert desired.entries() == {"h:a:80": entry()}
    assert desired.containers == {"c1"}
    assert desired.ended("c1") == {"h:a:80"}
    assert desired.entries() == {}
    assert desired.ended("c1") == set()


def test_what_a_container_published_before_is_concerned_too(desired):
    desired.runs(running(), [entry(id_="old")])
    assert desired.runs(running(), [entry(id_="new")]) == {"old", "new"}
    assert set(desired.entries()) == {"new"}


@pytest.mark.parametrize(
    ("number", "stop_signal", "leaves"),
    [
        (15, None, True),
        (2, None, True),
        (9, None, True),
        (1, None, False),
        (3, None, False),
        (28, "", False),
        (3, "SIGQUIT", True),
        (3, "QUIT", True),
        (3, "3", True),
        (15, "SIGQUIT", True),
        (1, "SIGQUIT", False),
        (1, "SIGNONSENSE", False),
    ],
)
def test_a_signal_that_stops_ends_an_entry(desired, number, stop_signal, leaves):
    desired.runs(running(stop_signal=stop_signal), [entry()])
    assert desired.killed("c1", number) == ({"h:a:80"} if leaves else set())
    assert bool(desired.entries()) is not leaves


def test_a_container_that_was_told_to_stop_stays_out_while_it_stops(desired):
    desired.runs(running(), [entry()])
    desired.killed("c1", 15)
    desired.runs(running(), [entry()])
    assert desired.entries() == {}


def test_it_is_back_when_it_starts_again(desired):
    desired.runs(running(), [entry(1)])
    desired.killed("c1", 15)
    desired.ended("c1")
    desired.started("c1")
    desired.runs(running(started="2026-01-02"), [entry(2)])
    assert desired.entries()["h:a:80"].port == 2


def test_it_is_back_when_it_evidently_does_not_stop(desired, clock):
    desired.runs(running(), [entry()])
    desired.killed("c1", 2)
    clock.now += Timing().stops_within
    assert set(desired.entries()) == {"h:a:80"}


@pytest.mark.parametrize("old_first", [True, False])
def test_the_container_that_was_made_anew_has_the_entry(desired, old_first):
    containers = [
        (running("old", "2026-01-01T00:00:00Z"), [entry(1)]),
        (running("new", "2026-01-01T00:00:05Z"), [entry(2)]),
    ]
    for container, its_entries in containers if old_first else reversed(containers):
        desired.runs(container, its_entries)
    assert desired.entries()["h:a:80"].port == 2
    desired.ended("old")
    assert desired.entries()["h:a:80"].port == 2


@pytest.mark.parametrize(("number", "stays"), [(15, False), (3, False), (1, True)])
def test_a_container_that_is_told_to_stop_while_it_is_inspected_is_not_entered(desired, number, stays):
    desired.started("c1")
    assert desired.killed("c1", number) == set()
    assert desired.runs(running(stop_signal="SIGQUIT"), [entry()]) == {"h:a:80"}
    assert bool(desired.entries()) is stays
    desired.started("c1")
    assert desired.entries(), "it was started again"


def test_a_signal_to_an_unknown_container_is_nothing(desired):
    assert desired.killed("nobody", 15) == set()


@pytest.mark.parametrize(
    ("text", "number"), [("SIGTERM", 15), ("term", 15), ("9", 9), ("", 0), ("SIG", 0), ("RTMIN", 34)]
)
def test_signal_numbers(text, number):
    assert signal_number(text) == number


@pytest.fixture(params=["embedded", "consul_url"])
async def consul(request, registry):
    async with AsyncConsul(
        registry.url if request.param == "embedded" else request.getfixturevalue("consul_url")
    ) as it:
        yield it


TTL = {"Name": "k", "TTL": "10m", "Status": "passing"}


@pytest.mark.parametrize(
    ("left", "check"),
    [
        pytest.param({}, None, id="as it is"),
        pytest.param({"Name": "b"}, None, id="another name"),
        pytest.param({"Tags": ["t"]}, None, id="a tag too many"),
        pytest.param({"Meta": {"k": "v"}}, None, id="metadata too many"),
        pytest.param({"Check": TTL}, None, id="a check too many"),
        pytest.param({"Check": TTL, "Port": 2}, None, id="a check too many, at another port"),
        pytest.param({}, TTL, id="no check"),
        pytest.param({"Check": TTL, "Port": 2}, TTL, id="a check, at another port"),
    ],
)
async def test_an_entry_of_before_becomes_what_is_desired(consul, desired, left, check):
    await consul.register({"ID": "h:a:80", "Name": "a", "Address": "10.0.0.1", "Port": 1, **left})
    wanted = ServiceEntry("h:a:80", "a", "10.0.0.1", 1, check=check)
    desired.runs(running(), [wanted])
    sync = EntrySync(consul, desired, "h", lambda: None, Timing())
    await sync.compare()
    await asyncio.gather(*sync.tasks)
    assert wanted.same_as((await consul.agent_services())["h:a:80"])
    assert ("service:h:a:80" in await consul.agent_checks()) is bool(check)
    await consul.deregister("h:a:80")

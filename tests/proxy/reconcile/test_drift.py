"""What a person changes in HAProxy or its files is found in its answers, and put right: tables, and a real HAProxy."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.reconcile import drift
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.drift_monitor import DriftMonitor
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import Timing

BOOKS = Route("books", ("/books",))
A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))
ROW = drift.ServerRow("10.0.0.1", "1", 2, 0, 1, 6)


def row(**other: object) -> drift.ServerRow:
    return dataclasses.replace(ROW, **other)


@pytest.mark.parametrize(
    ("state", "found", "says"),
    [
        (ServerState.SERVING, row(), []),
        (ServerState.SERVING, row(operational=0), []),
        (ServerState.SERVING, None, ["was removed"]),
        (ServerState.SERVING, row(administrative=1), ["was disabled"]),
        (ServerState.SERVING, row(administrative=8), ["was drained"]),
        (ServerState.SERVING, row(weight=200), ["has weight 200 instead of 1"]),
        (ServerState.CANDIDATE, row(weight=0), []),
        (ServerState.CANDIDATE, row(), ["has weight 1 instead of 0"]),
        (ServerState.SERVING, row(address="10.9.9.9"), ["leads to 10.9.9.9:1"]),
        (ServerState.SERVING, row(address="010.0.0.1"), ["leads to 010.0.0.1:1"]),
        (ServerState.SERVING, row(port="80"), ["leads to 10.0.0.1:80"]),
        (ServerState.SERVING, row(address="-"), ["leads to -:1"]),
        (ServerState.SERVING, row(check=2), ["is checked no more"]),
        (ServerState.DRAINING, row(administrative=8, weight=1), []),
        (ServerState.DRAINING, None, []),
        (ServerState.DRAINING, row(), ["was enabled"]),
    ],
)
def test_a_server(state: ServerState, found: drift.ServerRow | None, says: list[str]):
    rows = {"10.0.0.1:1": found} if found else {}
    assert list(drift.servers(Backend(BOOKS, {A: state}), rows)) == [
        f"server books-be/10.0.0.1:1 {what}" for what in says
    ]


def test_answers_without_servers():
    assert drift.parse_servers("Can't find backend.\n") == {}
    with pytest.raises(ProxyError, match="unknown form"):
        drift.parse_servers("2\n# be_id srv_name\n1 a\n")


def test_an_address_of_version_6_is_the_same_however_it_is_written():
    backend = Backend.serving(BOOKS, [Address("2001:db8:0::1", 1)])
    assert list(drift.servers(backend, {"2001:db8:0::1:1": row(address="2001:db8::1")})) == []


def test_a_server_that_nobody_checks_or_nobody_knows():
    unchecked = Backend.serving(dataclasses.replace(BOOKS, skip_check=True), [A])
    assert list(drift.servers(unchecked, {"10.0.0.1:1": row(check=0)})) == []
    down = {"10.0.0.1:1": row(check=0, operational=0)}
    assert list(drift.servers(unchecked, down)) == ["server books-be/10.0.0.1:1 was taken down"]
    stranger = {"10.0.0.1:1": row(), "evil": row(address="10.6.6.6")}
    assert list(drift.servers(Backend.serving(BOOKS, [A]), stranger)) == ["server books-be/evil was added"]


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        ("0x55 /a a-be\n0x56 /b b-be\n", False),
        ("0x56 /b b-be\n0x55 /a a-be", False),
        ("0x55 /a a-be", True),
        ("0x55 /a b-be\n0x56 /b b-be", True),
        ("0x55 /a a-be\n0x56 /b b-be\n0x57 /c c-be", True),
        ("Unknown map identifier. Please use #<id> or <file>.", True),
    ],
)
def test_a_map(answer: str, differs: bool):
    assert drift.entries_differ("/a a-be\n/b b-be\n", answer) is differs


class Pulse:
    def update(self, **_served: object) -> None:
        pass


@pytest.fixture
async def proxy(haproxy, free_port, tmp_path):
    """A HAProxy with two servers that is looked at all the time, and what happened to it."""
    timing = Timing(drift_poll=0.05)
    stored = StoredRoutes({"books": StoredRoute(BOOKS, 1)}, 1)
    desired = DesiredState(stored, {}, {"books": dict.fromkeys((A, B), ServerState.SERVING)})
    child = HAProxy(Options(binds=(f"127.0.0.1:{free_port()}",)), tmp_path, timing)
    applier, events = Applier(child, timing), EventBus()
    loop = ReconcileLoop(desired, applier, events=events, heartbeat=Pulse(), timing=timing)
    told = events.subscribe()
    await loop.start(1, "the-key")
    monitor = DriftMonitor(loop, applier, child, events=events, timing=timing, share=1.0)
    tasks = [asyncio.create_task(work()) for work in (loop.run, applier.run_writer, monitor.run)]
    # One look without anything to find.
    await asyncio.sleep(0.5)
    yield child, applier, told
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await child.stop()


async def repaired(told) -> str:
    async def wait() -> str:
        while True:
            event = await anext(told)
            if event.kind == "drift-repaired":
                return event.detail

    return await asyncio.wait_for(wait(), 15)


async def test_what_somebody_does_by_the_runtime_api_is_put_right(proxy):
    child, applier, told = proxy
    (prefix,) = applier.maps
    for commands, says in (
        (["set server books-be/10.0.0.1:1 state maint", "del server books-be/10.0.0.1:1"], "10.0.0.1:1 was removed"),
        (["disable server books-be/10.0.0.1:1", "set server books-be/10.0.0.1:2 weight 7"], "10.0.0.1:1 was disabled"),
        (["set server books-be/10.0.0.1:2 addr 10.0.0.9 port 9"], "10.0.0.1:2 leads to 10.0.0.9:9"),
        (["add server books-be/evil 10.6.6.6:6"], "evil was added"),
        (["disable health books-be/10.0.0.1:1"], "10.0.0.1:1 is checked no more"),
        ([f"add map {prefix} /evil books-be"], f"{prefix} was changed in HAProxy"),
        (["add map candidates.map x books-be"], "candidates.map was changed in HAProxy"),
        (["clear acl probe.key"], "probe.key was changed in HAProxy"),
        (["disable frontend entry"], "the frontend was disabled"),
    ):
        await child.runtime.ask(*commands)
        assert says in await repaired(told)
        rows = drift.parse_servers((await child.runtime.ask(drift.show("books")))[0])
        assert list(drift.servers(applier.running["books"], rows)) == []
        assert await child.master.open()


async def test_files_that_somebody_edits_are_written_again(proxy):
    child, applier, told = proxy
    (prefix,) = applier.maps
    for name in ("haproxy.cfg", "haproxy.cfg.good", prefix, "candidates.map", "probe.key"):
        path = child.files.folder / name
        text = path.read_text()
        with path.open("a") as file:
            file.write("evil\n")
        assert f"{name} was edited" in await repaired(told)
        assert path.read_text() == text
        path.unlink()
        assert f"{name} was edited" in await repaired(told)
        assert path.read_text() == text
    assert applier.version == 1
    os.utime(child.files.folder / "haproxy.cfg")

    # To touch a file is no edit; to load it is one more worker than was started here.
    text = child.files.read()
    os.kill(int((child.files.folder / "haproxy.pid").read_text()), signal.SIGUSR2)
    assert await repaired(told) == "HAProxy was reloaded"
    assert (applier.version, child.files.read()) == (2, text.replace("jenkins-proxy 1", "jenkins-proxy 2"))

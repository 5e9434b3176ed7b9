"""The embedded registry on a full disk: it refuses what it cannot keep, and does what was due once there is room."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import requests

from jenkins_proxy import files
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.consul_server.state import append_log
from jenkins_proxy.consul_server.state.append_log import AppendLog
from jenkins_proxy.consul_server.state.state_store import Store, Timing
from jenkins_proxy.errors import RegistryError

DEAF = {"ID": "a", "Name": "a", "Port": 1}


class Disk:
    """Where state files are.

    :ivar room: how many changes it still takes; None: all.
    :ivar rewrites: whether it takes whole files.
    :ivar refused: how many it did not take.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.rewrites = True
        self.refused = 0
        self._write = append_log._write

    def write(self, file: int, data: bytes) -> None:
        self._take(self.room != 0)
        self._write(file, data)

    @contextlib.contextmanager
    def atomic_file(self, path: Path, **options: Any) -> Iterator[BinaryIO]:
        with files.atomic_file(path, **options) as file:
            yield file
            self._take(self.room != 0 and self.rewrites)

    def _take(self, fits: bool) -> None:
        if not fits:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.room:
            self.room -= 1


@pytest.fixture
def disk(monkeypatch):
    made = Disk()
    monkeypatch.setattr(append_log, "_write", made.write)
    monkeypatch.setattr(append_log, "atomic_file", made.atomic_file)
    yield made
    made.room, made.rewrites = None, True


@pytest.fixture
def state(tmp_path):
    return tmp_path / "registry"


@pytest.fixture
def client(disk, embed, state):
    with Consul(embed(state, timing=Timing(min_deregister_after=1.0, min_session_ttl=0.1)).url) as made:
        yield made


@pytest.mark.parametrize("check", [{"TCP": "127.0.0.1:PORT", "Interval": "50ms"}, {"TTL": "1s"}], ids=["polled", "ttl"])
def test_a_check_goes_on(client, disk, wait_for, check):
    with socket.create_server(("127.0.0.1", 0)) as server:
        check = {name: value.replace("PORT", str(server.getsockname()[1])) for name, value in check.items()}
        client.register({**DEAF, "Check": {**check, "Status": "passing"}})
        disk.room = 0
    wait_for(lambda: disk.refused)
    assert client.instances("a")[0][0].status == "passing"
    disk.room = None
    wait_for(lambda: client.instances("a")[0][0].status == "critical")


@pytest.mark.parametrize("room", [0, 1])
def test_a_critical_service_is_still_taken_away(client, disk, wait_for, room):
    client.register({**DEAF, "Check": {"TTL": "10m", "DeregisterCriticalServiceAfter": "1ms"}})
    disk.room = room
    wait_for(lambda: disk.refused)
    assert len(client.instances("a")[0]) == 1
    disk.room = None
    wait_for(lambda: not client.services())


def locked(client: Consul, *keys: str, **session) -> str:
    made = requests.put(f"{client.url}/v1/session/create", json={"LockDelay": "0s", **session})
    for key in keys:
        assert client.kv_put(key, b"me", acquire=made.json()["ID"])
    return made.json()["ID"]


def test_a_session_still_ends_with_its_time(client, disk, wait_for):
    session = locked(client, "lock", TTL="1s")
    disk.room = 0
    wait_for(lambda: disk.refused)
    assert client.kv_get("lock").session == session
    disk.room = None
    wait_for(lambda: client.session_info(session) is None)
    assert client.kv_get("lock").session == ""


def test_a_session_still_ends_with_its_check(client, disk, wait_for):
    check = {"Name": "c", "TTL": "10m", "Status": "passing"}
    requests.put(f"{client.url}/v1/agent/check/register", json=check).raise_for_status()
    session = locked(client, "lock", Checks=["c"])
    disk.room = 1
    requests.put(f"{client.url}/v1/agent/check/fail/c").raise_for_status()
    wait_for(lambda: disk.refused)
    disk.room = None
    wait_for(lambda: client.session_info(session) is None)
    assert client.kv_get("lock").session == ""


def test_a_session_whose_end_was_refused_ends_with_its_time(client, disk, wait_for):
    session = locked(client, "lock", TTL="1s")
    disk.room = 0
    with pytest.raises(RegistryError, match="state file cannot be written: No space left on device"):
        client.session_destroy(session)
    disk.room = None
    wait_for(lambda: client.session_info(session) is None)


def test_a_session_that_ended_half_way_leaves_no_lock(client, disk):
    session = locked(client, "one", "two")
    disk.room = 1
    with pytest.raises(RegistryError, match="No space left on device"):
        client.session_destroy(session)
    disk.room = None
    client.session_destroy(session)
    assert [client.kv_get(key).session for key in ("one", "two")] == ["", ""]


def pair(number: int) -> dict:
    key = {"Key": f"k{number % 3}", "Value": None, "Flags": number, "LockIndex": 0}
    return {**key, "CreateIndex": 1, "ModifyIndex": number}


def test_a_rewrite_that_fails_costs_nothing_and_is_made_later(disk, state):
    store = Store(AppendLog(state))
    disk.rewrites = False

    def put(numbers: range) -> None:
        for number in numbers:
            store.advance()
            store.put("kv", f"k{number % 3}", pair(number))

    before = len(os.listdir("/proc/self/fd"))
    put(range(1100))
    assert len(os.listdir("/proc/self/fd")) == before
    assert disk.refused == 1, "one try, and not one with each change"
    assert os.listdir(state.parent) == [state.name]
    disk.rewrites = True
    put(range(1100, 2200))
    store.close()
    assert len(state.read_bytes().splitlines()) < 1000
    assert Store(AppendLog(state)).tables["kv"] == {f"k{number % 3}": pair(number) for number in (2197, 2198, 2199)}


def test_it_is_logged_once_until_it_is_over(disk, embed, state, caplog):
    with Consul(embed(state).url) as client:
        for _ in range(2):
            disk.room = 0
            for key in ("a", "b"):
                with pytest.raises(RegistryError, match="No space left on device"):
                    client.kv_put(key, b"1")
            disk.room = None
            client.kv_put("a", b"another")
    assert caplog.messages == ["the registry's state file cannot be written: No space left on device"] * 2

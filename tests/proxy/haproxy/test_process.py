"""HAProxy as a child: started, changed, broken in every way we can cause, and ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.process import HAProxy


class Child(HAProxy):
    """A HAProxy with one route, that notes how it died."""

    def __init__(self, port: int, folder: Path) -> None:
        self.deaths: list[str] = []
        super().__init__(Options(binds=(f"127.0.0.1:{port}",)), folder)
        self.on_death = self.deaths.append
        self.port = port
        self.backends: list[Backend] = []

    def rendered(self, version: int, **options):
        return render(self.backends, Options(**{"binds": self.options.binds, **options}), version)

    async def begin(self, version: int = 1) -> None:
        await self.start(self.rendered(version), version, "key")


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.fixture
async def child(haproxy, free_port, origin, tmp_path):
    child = Child(free_port(), tmp_path / "run")
    child.backends = [Backend.serving(Route("books", ("/",)), [(await origin("books")).address])]
    yield child
    await child.stop()


async def test_it_serves_from_start_to_stop_and_leaves_nothing_running(child, ask):
    await child.begin()
    assert (await ask(child.port, "/")).body == "books"
    pids = [child.master.pid, (await child.master.workers()).current]
    await child.stop()
    assert not any(map(is_there, pids))
    with pytest.raises(ConnectionRefusedError):
        await ask(child.port, "/")


async def test_only_the_owner_may_look_into_its_folder(child):
    await child.begin()
    assert oct(child.files.folder.stat().st_mode)[-3:] == "700"
    for name in ("haproxy.cfg", "haproxy.cfg.good", "probe.key", "stats.sock", "master.sock"):
        assert oct((child.files.folder / name).stat().st_mode)[-3:] == "600", name


async def test_a_folder_with_a_path_longer_than_a_sockets_may_be(haproxy, free_port, tmp_path):
    child = Child(free_port(), tmp_path / ("x" * 150) / "run")
    await child.begin()
    assert await child.runtime.description() == "jenkins-proxy 1"
    await child.stop()


async def test_our_tokens_are_not_in_its_environment(child, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "secret-token")
    await child.begin()
    assert "secret-token" not in environment_of(child.master.pid)


async def test_a_reload_returns_when_the_new_version_serves(child):
    await child.begin()
    for version in range(2, 6):
        await child.reload(child.rendered(version), version)
        assert await child.runtime.description() == f"jenkins-proxy {version}"


async def test_a_refused_configuration_changes_nothing(child, ask):
    await child.begin()
    before = child.files.read()
    with pytest.raises(UsageError, match=r"refuses the configuration: parsing \[haproxy.cfg.new:\d+\] .*nobody-here"):
        await child.reload(child.rendered(2, user="nobody-here"), 2)
    assert child.files.read() == before
    assert (await ask(child.port, "/")).status == 200


async def test_a_port_that_cannot_be_bound_leaves_the_old_one_serving(child, ask):
    await child.begin()
    before = child.files.read()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ProxyError, match=f"cannot bind socket .Address already in use. for .{other}."):
            await child.reload(child.rendered(2, binds=(other,)), 2)
    assert child.files.read() == before
    assert (await ask(child.port, "/")).status == 200
    await child.reload(child.rendered(3), 3)
    assert (await ask(child.port, "/")).status == 200


async def test_a_port_that_is_taken_at_the_start(child):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", child.port))
        taken.listen()
        with pytest.raises(UsageError, match="Address already in use"):
            await child.begin()
    assert not child.serving


async def test_a_port_that_another_haproxy_serves(child, tmp_path):
    await child.begin()
    second = Child(child.port, tmp_path / "second")
    with pytest.raises(UsageError, match="Address already in use"):
        await second.begin()


async def test_a_full_disk_changes_nothing(child, ask, monkeypatch):
    await child.begin()
    before = child.files.read()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ProxyError, match="cannot write .*haproxy.cfg.new: No space left on device"):
        await child.reload(child.rendered(2), 2)
    assert child.files.read() == before
    assert (await ask(child.port, "/")).status == 200
    assert not list(child.files.folder.glob(".haproxy.cfg*"))


@pytest.mark.parametrize("victim", ["master", "worker"])
async def test_it_is_started_again_when_it_dies(child, ask, wait_until, victim):
    await child.begin()
    master = child.master.pid
    os.kill(master if victim == "master" else (await child.master.workers()).current, signal.SIGKILL)
    await wait_until(lambda: child.deaths and child.serving)
    assert (await ask(child.port, "/")).body == "books"
    assert "HAProxy ended with code" in child.deaths[0]


async def test_a_reload_may_overtake_a_start(child, ask, wait_until, mocker):
    await child.begin()
    told, overtaken = child.runtime.description, asyncio.Event()

    async def description() -> str:
        if asyncio.current_task() is child._keeper:
            await overtaken.wait()
        return await told()

    mocker.patch.object(child.runtime, "description", description)
    before = child.master.pid
    os.kill(before, signal.SIGKILL)
    await wait_until(lambda: child.master.pid != before)
    await child.reload(child.rendered(2), 2)
    overtaken.set()
    await wait_until(lambda: child.serving)
    assert len(child.deaths) == 1
    assert (await ask(child.port, "/")).body == "books"


async def test_it_is_started_again_with_the_last_good_configuration(child, ask, wait_until):
    await child.begin()
    (child.files.folder / "haproxy.cfg").unlink()
    (child.files.folder / "haproxy.cfg").write_text("broken\n")
    os.kill(child.master.pid, signal.SIGKILL)
    await wait_until(lambda: len(child.deaths) == 2 and child.serving)
    assert "could not be started again" in child.deaths[1]
    assert "broken" in child.deaths[1]
    assert (await ask(child.port, "/")).status == 200


async def test_one_that_a_killed_daemon_left_behind_serves_until_it_is_replaced(child, ask, visitor, tmp_path):
    left = Child(child.port, child.files.folder)
    left.backends = child.backends
    await left.begin()
    orphan = left.master
    # What is left of a daemon that was killed: nobody who supervises, and a pipe that nobody reads.
    left._keeper.cancel()
    left.master._reader.cancel()
    async with visitor(child.port) as user:
        assert (await user.ask("/")).status == 200
        await child.begin(2)
        assert await child.runtime.description() == "jenkins-proxy 2"
        assert (await user.ask("/")).headers["connection"] == "close"
    assert (await ask(child.port, "/")).status == 200
    await asyncio.wait_for(orphan.wait(), 20)
    await child.reload(child.rendered(3), 3)
    assert (await ask(child.port, "/")).status == 200


async def test_it_has_started_when_no_worker_of_before_takes_commands(child):
    left = Child(child.port, child.files.folder)
    left.backends = child.backends
    await left.begin()
    left._keeper.cancel()
    left.master._reader.cancel()
    worker, _ = await left.runtime.answering()
    # It does not get to tell its worker that it shall end.
    os.kill(left.master.pid, signal.SIGSTOP)
    starting = asyncio.create_task(child.begin())
    done, _ = await asyncio.wait([starting], timeout=0.5)
    assert not done
    for process in (left.master.pid, worker):
        os.kill(process, signal.SIGKILL)
    await asyncio.wait_for(starting, 20)
    answering = {(await child.runtime.answering())[0] for _ in range(50)}
    assert answering == {(await child.runtime.workers()).current}


async def test_a_process_id_of_something_else_is_left_alone(child, tmp_path):
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    child.files.folder.mkdir()
    (child.files.folder / "haproxy.pid").write_text(str(bystander.pid))
    await child.begin()
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        pytest.param(None, "HAProxy is not installed", id="missing"),
        pytest.param("HA-Proxy version 2.2.9-2 2021/04/14", "is version 2.2", id="too-old"),
        pytest.param("something else", "is version unknown", id="another-program"),
    ],
)
async def test_a_haproxy_that_will_not_do(child, tmp_path, monkeypatch, says, expected):
    programs = tmp_path / "bin"
    programs.mkdir()
    if says:
        (programs / "haproxy").write_text(f"#!/bin/sh\necho '{says}'\n")
        (programs / "haproxy").chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path, which=shutil.which: which(name, path=str(programs)))
    with pytest.raises(UsageError, match=expected) as refused:
        await child.begin()
    assert "apt-get install haproxy" in refused.value.hint


@pytest.fixture
async def long_headers():
    """The address of a server whose answer has a header as long as the request's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        padding = b"x" * head.count(b"x")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nY: " + padding + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**22)
    yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


@pytest.mark.parametrize("allowed", [16_384, 65_536, 1_048_576])
async def test_headers_may_be_as_long_as_is_allowed_and_that_is_adopted_at_a_restart(child, long_headers, allowed):
    child.backends = [Backend.serving(Route("long", ("/",)), [long_headers])]
    left = Child(child.port, child.files.folder)
    left.backends = child.backends
    await left.begin()

    async def ask(length: int) -> tuple[str, int]:
        """The status, and how long the answer's header is."""
        reader, writer = await asyncio.open_connection("127.0.0.1", child.port, limit=2**22)
        begin, end = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nA: ", b"\r\n\r\n"
        writer.write(begin + b"x" * (length - len(begin) - len(end)) + end)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head.split()[1].decode(), head.count(b"x")

    assert (await ask(allowed))[0] == "400"
    # The daemon was killed, and the next one has another option.
    left._keeper.cancel()
    left.master._reader.cancel()
    await child.start(child.rendered(2, max_header=allowed), 2, "key")
    status, length = await ask(allowed)
    assert (status, length > allowed - 100) == ("200", True)

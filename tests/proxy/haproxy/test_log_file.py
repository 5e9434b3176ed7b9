"""The access log in a file: what is written into the pipe gets there whole, whatever becomes of those who write."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.entry.access_log import JSON, AccessLog
from jenkins_proxy.proxy.haproxy.entry.options import Entry
from jenkins_proxy.proxy.haproxy.log_file import LogFile
from jenkins_proxy.proxy.haproxy.process import HAProxy

RETRY = 0.01


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
async def log_file(path):
    log_file = LogFile(str(path), RETRY)
    yield log_file
    await log_file.close(10)


def as_haproxy(descriptor: int) -> int:
    """One of its own of what it has as stdout, and with the flags that HAProxy sets by its first line."""
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK)
    return os.dup(descriptor)


async def test_those_that_serve_beside_each_other_write_whole_lines(log_file, path):
    other = LogFile(str(path), RETRY)
    writers = [as_haproxy((await one.open()).fileno()) for one in (log_file, other)]
    for number in range(200):
        for writer in writers:
            os.write(writer, b"%d %s\n" % (number, b"x" * 500))
    for writer in writers:
        os.close(writer)
    await other.close(10)
    await log_file.close(10)
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{number} {'x' * 500}" for number in range(200) for _writer in writers)


async def test_it_is_written_after_the_daemons_end_and_then_nothing_is_left(log_file, path, wait_until):
    writer = as_haproxy((await log_file.open()).fileno())
    pid = log_file.pid
    await log_file.leave()
    os.write(writer, b"later\n")
    await wait_until(lambda: path.read_text() == "later\n")
    os.close(writer)
    await wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


async def test_it_is_appended_to_and_goes_on_where_it_was_truncated(log_file, path, wait_until):
    path.write_text("before\n")
    writer = await log_file.open()
    os.close(as_haproxy(writer.fileno()))
    writer.write(b"one\n")
    await wait_until(lambda: path.read_text() == "before\none\n")
    os.truncate(path, 0)
    writer.write(b"two\n")
    await wait_until(lambda: path.read_text() == "two\n")


async def test_one_that_is_killed_is_started_again_and_what_waits_gets_there(log_file, path, wait_until, caplog):
    writer = await log_file.open()
    killed = log_file.pid
    os.kill(killed, signal.SIGKILL)
    # Before its end it may still take a line along.
    await wait_until(lambda: "cat ended with code -9: lines of the access log may be lost" in caplog.text)
    writer.write(b"one\n")
    await wait_until(lambda: path.read_text() == "one\n")
    assert log_file.pid != killed


async def test_a_full_disk_is_told_once(caplog, wait_until):
    log_file = LogFile("/dev/full", RETRY)
    writer = await log_file.open()
    pids = set()
    for _ in range(3):
        writer.write(b"one\n")
        pids.add(log_file.pid)
        await wait_until(lambda: log_file.pid not in pids)
    await log_file.leave()
    assert caplog.text.count("No space left on device") == 1


async def test_one_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(ProxyError, match="cannot write the access log .*/none/access.log: No such file or directory"):
        await LogFile(str(tmp_path / "none/access.log"), RETRY).open()


@pytest.mark.usefixtures("haproxy")
async def test_a_new_haproxy_beside_the_one_that_it_replaces(free_port, origin, visitor, ask, tmp_path, path):
    port, server = free_port(), await origin()
    options = Options(binds=(f"127.0.0.1:{port}",), entry=Entry(access_log=AccessLog(JSON, file=str(path))))
    rendered = render([Backend.serving(Route("books", ("/",)), [server.address])], options, 1)
    left, child = (HAProxy(options, tmp_path / "run") for _ in range(2))
    await left.start(rendered, 1, "key")
    await ask(port, "/1")
    async with visitor(port) as user:
        await user.send("/slow")
        await server.arrived.wait()
        await left.leave()
        await child.start(rendered, 1, "key")
        # The old one writes its line while the new one has the file open, too.
        server.release.set()
        await user.receive()
    await ask(port, "/2")
    await child.stop()
    lines = path.read_text().splitlines()
    assert [line for line in lines if not (line.startswith("{") and line.endswith("}"))] == []
    assert len(lines) == 3

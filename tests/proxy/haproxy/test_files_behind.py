"""HAProxy ends while its files are behind what it runs: servers change at once, and are written a moment later."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.process import HAProxy

BOOKS = Route("books", ("/",))


@pytest.fixture
async def behind(haproxy, free_port, origin, ask, tmp_path):
    """A HAProxy that runs ``new``, and whose files have ``old``: nobody writes them."""

    class Behind:
        port = free_port()

        def __init__(self) -> None:
            self.haproxy = HAProxy(Options(binds=(f"127.0.0.1:{self.port}",)), tmp_path / "run")
            self.applier = Applier(self.haproxy)
            self.haproxy.before_restart = self.applier.before_restart

        async def serve(self, instance, **how) -> None:
            desired = {"books": Backend.serving(BOOKS, [instance.address])}
            await self.applier.apply(desired, ["books"], lambda: desired, **how)

        async def kill(self) -> str:
            """All of HAProxy ends. :return: who answers the first user that can connect again."""
            for pid in ((await self.haproxy.master.workers()).current, self.haproxy.master.pid):
                os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                while True:
                    try:
                        return (await ask(self.port, "/")).body
                    except (OSError, EOFError):
                        await asyncio.sleep(0.01)

    made = Behind()
    made.old, made.new = await origin("old"), await origin("new")
    await made.applier.start({"books": Backend.serving(BOOKS, [made.old.address])}, 1, "key")
    await made.serve(made.new)
    yield made
    await made.haproxy.stop()


async def test_it_starts_again_with_what_it_ran(behind):
    assert await behind.kill() == "new"
    assert behind.old.requests == []


async def test_a_full_disk_keeps_files_from_being_written_and_no_server_from_changing(behind, ask, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert await behind.kill() == "old"
    with pytest.raises(ProxyError, match="No space left on device"):
        await behind.serve(behind.new, force=True)
    assert (await ask(behind.port, "/")).body == "new"

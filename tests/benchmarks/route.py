"""A new route with 1,000 present: from the call until it serves, against ``haproxy -c`` and a reload by hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests
import world
from figures import against

ROUTES = 1000
SAMPLES = 15


def ours(daemon: world.Daemon, number: int) -> float:
    start = time.perf_counter()
    requests.put(
        f"{daemon.api}/v1/routes/bench-{number}", json={"paths": [f"/new-{number}/"], "skip_check": True}, timeout=60
    ).raise_for_status()
    seconds = time.perf_counter() - start
    answer = requests.get(f"http://127.0.0.1:{daemon.entry}/new-{number}/x", timeout=10)
    if not answer.ok:
        raise SystemExit(f"the call was answered, and the route serves {answer.status_code}")
    return seconds


class ByHand:
    """The same configuration and maps, in an HAProxy of its own, checked and reloaded as an administrator does."""

    def __init__(self, folder: Path, state: Path) -> None:
        source = next(state.rglob("haproxy.cfg")).parent
        self._folder = folder / "hand"
        self._folder.mkdir()
        for file in source.iterdir():
            if file.is_file():
                (self._folder / file.name).write_bytes(file.read_bytes())
        self._config = self._folder / "haproxy.cfg"
        self._config.write_text(re.sub(r"bind \S+", f"bind 127.0.0.1:{world.free_port()}", self._config.read_text()))
        self._master = subprocess.Popen(
            ["haproxy", "-W", "-db", "-f", "haproxy.cfg"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        world.wait_until(self._workers, self._master, self._config)

    def _workers(self) -> set[str]:
        return set(Path(f"/proc/{self._master.pid}/task/{self._master.pid}/children").read_text().split())

    def reload(self) -> float:
        """Until a new worker is there: that is when the old one has given its sockets away."""
        before = self._workers()
        start = time.perf_counter()
        subprocess.run(["haproxy", "-c", "-f", "haproxy.cfg"], cwd=self._folder, check=True, capture_output=True)
        os.kill(self._master.pid, signal.SIGUSR2)
        while not self._workers() - before:
            time.sleep(0.001)
        return time.perf_counter() - start

    def stop(self) -> None:
        self._master.terminate()
        self._master.wait()


def main() -> None:
    with world.folder() as folder, world.consul(folder) as consul, world.backend() as port:
        world.fill(consul, ROUTES + SAMPLES, port, instances=10, routes=ROUTES)
        daemon = world.Daemon(folder, consul)
        with daemon.running() as process:
            world.wait_until(lambda: world.Stats(daemon.state).all_servers() >= ROUTES * 10, process, daemon.log)
            hand = ByHand(folder, daemon.state)
            mine, peer = [], []
            for number in range(SAMPLES):
                mine.append(ours(daemon, ROUTES + number))
                peer.append(hand.reload())
            hand.stop()
    against(f"a new route with {ROUTES} present: call -> served", mine, "haproxy -c and a reload by hand", peer, "<= 2")


if __name__ == "__main__":
    sys.exit(main())

"""Requests lost while everything that a deploy does is done, again and again, to real containers. The goal is 0.

python loss.py            1,000,000 requests or more
python loss.py --short    100 scale changes and 20 changes of routes, each of which reloads HAProxy
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import world
from load import Load, table

HERE = Path(__file__).resolve().parent
SERVICE_PATH = "/api/v1/bench"
COMPOSE = """\
version: "2"
services:
  app:
    image: jenkins-proxy-bench
    ports: ["8080"]
    stop_grace_period: 3s
    environment:
      SERVICE_NAME: "${SERVICE_NAME:-bench}"
      SERVICE_PATH: /api/v1/bench
      VERSION: "${VERSION:-1}"
    command: ["/bin/busybox", "sh", "${PROGRAM:-/books-ms}"]
"""


class Bench:
    """The service under load, and what is done to it."""

    def __init__(self, folder: Path, daemon: world.Daemon) -> None:
        self._daemon = daemon
        self._file = folder / "docker-compose.yml"
        self._file.write_text(COMPOSE)
        self._version = 1
        # The same changes in every run.
        self._random = random.Random(1)

    def deploy(self, *more: str, expect: tuple[int, ...] = (0,), path: str = SERVICE_PATH, **environment: str) -> None:
        self._version += 1
        self._daemon.command(
            "deploy",
            "bench",
            "--path",
            path,
            "-f",
            str(self._file),
            *more,
            expect=expect,
            VERSION=str(self._version),
            **environment,
        )

    def scale(self) -> None:
        self._daemon.command("scale", "bench", str(self._random.randint(1, 5)), "-f", str(self._file))

    def scale_to(self, count: int) -> None:
        self._daemon.command("scale", "bench", str(count), "-f", str(self._file))

    def rolling(self) -> None:
        self.deploy("--strategy", "rolling")

    def blue_green(self) -> None:
        self.deploy("--strategy", "blue-green")

    def change_route(self) -> None:
        self._version += 1
        self._daemon.command(
            "reconfigure", "bench", "--path", f"{SERVICE_PATH},/extra/{self._version}", "--probe-path", SERVICE_PATH
        )

    def fail(self) -> None:
        # The containers of this release end at once: the deploy has to notice, and to undo itself.
        self.deploy("--strategy", "rolling", expect=(3, 5, 6), PROGRAM="/no-such-program")

    def kill(self) -> None:
        """SIGKILL one instance out of three, as the kernel does when memory runs out."""
        self.scale_to(3)
        victim = self._containers()[0]
        _docker("kill", "--signal", "KILL", victim)
        time.sleep(2)
        _docker("rm", "--force", victim)

    def _containers(self) -> list[str]:
        return _docker(
            "ps", "--quiet", "--filter", "label=com.docker.compose.service=app", "--filter", "name=bench"
        ).split()

    def down(self) -> None:
        found = _docker("ps", "--all", "--quiet", "--filter", "ancestor=jenkins-proxy-bench").split()
        if found:
            _docker("rm", "--force", *found)
        networks = _docker("network", "ls", "--quiet", "--filter", "name=bench").split()
        if networks:
            _docker("network", "rm", *networks)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def build_image(folder: Path) -> None:
    """The demo's service, under a name of our own."""
    context = folder / "image"
    shutil.copytree(HERE.parents[1] / "resources" / "demo" / "books-ms", context)
    shutil.copy(shutil.which("busybox"), context / "busybox")
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", "jenkins-proxy-bench", str(context)],
        check=True,
        capture_output=True,
        env={**world.ENVIRONMENT, "DOCKER_BUILDKIT": "0"},
    )


@contextlib.contextmanager
def stage() -> Iterator[tuple[Bench, world.Daemon]]:
    """The daemon with its embedded registry, and the service deployed once."""
    with world.folder() as folder:
        build_image(folder)
        daemon = world.Daemon(folder)
        with daemon.running():
            bench = Bench(folder, daemon)
            try:
                bench.deploy("--scale", "2")
                yield bench, daemon
            finally:
                bench.down()


def play(load: Load, phases: list[tuple[str, int, Callable[[], None]]]) -> None:
    for name, times, action in phases:
        load.phase(f"{times} x {name}")
        start = time.monotonic()
        for _ in range(times):
            action()
        print(f"  {times} x {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        load.phase("between")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--requests", type=int, default=1_000_000)
    args = parser.parse_args()
    with stage() as (bench, daemon), Load(daemon.entry, SERVICE_PATH) as load:
        if args.short:
            play(load, [("scale change 1..5", 100, bench.scale), ("route change", 20, bench.change_route)])
        else:
            play(
                load,
                [
                    ("scale change 1..5", 100, bench.scale),
                    ("rolling deploy", 20, bench.rolling),
                    ("route change", 20, bench.change_route),
                    ("failed deploy, rolled back", 5, bench.fail),
                    ("kill -9 of 1 instance of 3", 5, bench.kill),
                    ("blue-green switch", 20, bench.blue_green),
                ],
            )
            load.phase("nothing, until the number is reached")
            while load.sent() < args.requests:
                time.sleep(1)
        counts = load.stop()
    print(table(counts))
    kills = sum(count.failed for name, count in counts.items() if "kill" in name)
    lost = sum(count.failed for count in counts.values()) - kills
    print(f"lost, but for the kills: {lost} (goal 0)\n", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

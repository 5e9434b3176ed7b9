"""The same deploys under the same load, done in three ways. One table.

* ours: ``jenkins-proxy deploy`` and ``scale``;
* the article's lines: ``docker-compose up -d`` and ``scale``, then a call that renders HAProxy's configuration from
  what the registry says at that moment and starts a new process over the old one, as Docker Flow: Proxy of 2016 did;
* ``docker-compose`` alone, behind our daemon, which follows the registry by itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import loss
import requests
import world
from load import Load, table

DEPLOYS = 10
SCALES = (3, 1, 2, 5, 1)
_CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend services
    bind 127.0.0.1:{port}
    acl url_bench path_beg {path}
    use_backend bench-be if url_bench
backend bench-be
{servers}
"""


class Article:
    """Docker Flow: Proxy of 2016, as far as it matters here (its reconfigure.go): no wait, no check, ``-sf``."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._config, self._pids = folder / "dfp.cfg", folder / "dfp.pid"
        self._registry = registry
        self.port = world.free_port()

    def reconfigure(self) -> None:
        found = requests.get(f"{self._registry}/v1/catalog/service/bench", timeout=10).json()
        servers = "\n".join(
            f"    server {entry['Node']}_{number}_{entry['ServicePort']} "
            f"{entry['ServiceAddress']}:{entry['ServicePort']} check"
            for number, entry in enumerate(found)
        )
        self._config.write_text(_CONFIG.format(port=self.port, path=loss.SERVICE_PATH, servers=servers))
        old = self._pids.read_text().split() if self._pids.exists() else []
        finish = ["-sf", *old] if old else []
        subprocess.run(
            ["haproxy", "-D", "-f", str(self._config), "-p", str(self._pids), *finish], check=True, capture_output=True
        )

    def stop(self) -> None:
        for pid in self._pids.read_text().split() if self._pids.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 15)


class Plain:
    """The article's docker-compose lines, and then perhaps something more."""

    def __init__(self, folder: Path, after=lambda: None) -> None:
        self._compose = ["docker-compose", "-p", "bench", "-f", str(folder / "docker-compose.yml")]
        self._after = after
        self._version = 1000

    def deploy(self) -> None:
        self._version += 1
        self._run("up", "-d")
        self._after()

    def scale(self, count: int) -> None:
        self._run("up", "-d", "--no-recreate", "--scale", f"app={count}")
        self._after()

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._compose, *arguments],
            check=True,
            capture_output=True,
            env={**world.ENVIRONMENT, "VERSION": str(self._version)},
        )


class Ours:
    def __init__(self, bench: loss.Bench) -> None:
        self.deploy, self.scale = bench.rolling, bench.scale_to


@contextlib.contextmanager
def way(name: str) -> Iterator[tuple[Ours | Plain, int]]:
    """One way to deploy, and the port where its users enter."""
    with loss.stage() as (bench, daemon):
        if name == "ours":
            yield Ours(bench), daemon.entry
        elif name == "docker-compose alone":
            yield Plain(daemon.folder), daemon.entry
        else:
            article = Article(daemon.folder, daemon.registry)
            article.reconfigure()
            try:
                yield Plain(daemon.folder, article.reconfigure), article.port
            finally:
                article.stop()


def main() -> None:
    counts = {}
    for name in ("ours", "the article's lines", "docker-compose alone"):
        with way(name) as (tool, port), Load(port, loss.SERVICE_PATH) as load:
            time.sleep(1)
            load.phase(f"{name}: {DEPLOYS} deploys")
            for _ in range(DEPLOYS):
                tool.deploy()
            load.phase(f"{name}: {len(SCALES)} scalings")
            for count in SCALES:
                tool.scale(count)
            counts.update((phase, count) for phase, count in load.stop().items() if phase != "before")
    print(table(counts), flush=True)


if __name__ == "__main__":
    sys.exit(main())

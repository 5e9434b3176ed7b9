"""The ways to deploy that are measured beside ours, each with the proxy that it is used with.

* the article's lines: ``docker-compose up -d``, then a call that renders HAProxy's configuration from what the registry
  says at that moment and starts a new process over the old one, as Docker Flow: Proxy of 2016 did;
* ``docker compose up -d`` behind a proxy that follows the containers: all that run, in a configuration that is rendered
  and reloaded without a loss at each change, as nginx-proxy and its like do;
* docker-rollout's way, behind the same proxy: as many new containers again, ten seconds (it waits for their health
  where they have a check), the old ones stopped;
* kamal-proxy: new containers beside the old, and its ``deploy`` with a health check of the service's own path.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import requests
import world
from service import IMAGE, NAME, SERVICE_PATH, Bench, docker

COUNT = 2
_CONFIG = """\
global
    stats socket {config}.sock level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
{retries}
frontend services
    bind 127.0.0.1:{port}
    acl url_bench path_beg {path}
    use_backend bench-be if url_bench
backend bench-be
{servers}
"""
# As nginx does: whoever cannot be reached is passed over at once.
_RETRIES = "    retries 3\n    option redispatch 1"


class Way(Protocol):
    def deploy(self, release: str) -> bool:
        """Deploy the next release, which is as good as its name says. Whether it is what users get now."""
        ...


class Ours:
    """``jenkins-proxy deploy`` and ``scale``."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.scale = bench.scale_to

    def deploy(self, release: str) -> bool:
        return self._bench.try_deploy("--strategy", "rolling", RELEASE=release).returncode == 0


class Plain:
    """The article's docker-compose lines, and then perhaps something more."""

    def __init__(self, file: Path, program: tuple[str, ...], after=lambda: None) -> None:
        self._compose = [*program, "-p", NAME, "-f", str(file)]
        self._after = after
        self.version = 1000

    def deploy(self, release: str) -> bool:
        self.version += 1
        self.compose("up", "-d", release=release)
        self._after()
        return True

    def scale(self, count: int) -> None:
        self.compose("up", "-d", "--no-recreate", "--scale", f"app={count}")
        self._after()

    def compose(self, *arguments: str, release: str = "good") -> str:
        env = {**world.ENVIRONMENT, "VERSION": str(self.version), "RELEASE": release}
        argv = [*self._compose, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout


class Rollout:
    """What the ``docker-rollout`` plug-in does to a service without a health check."""

    def __init__(self, file: Path) -> None:
        self._plain = Plain(file, ("docker", "compose"))
        self.scale = self._plain.scale

    def deploy(self, release: str) -> bool:
        self._plain.version += 1
        old = self._plain.compose("ps", "--quiet", "app").split()
        twice = f"app={2 * len(old)}"
        self._plain.compose("up", "-d", "--no-recreate", "--scale", twice, release=release)
        time.sleep(10)
        docker("stop", *old)
        docker("rm", *old)
        return True


class Kamal:
    """``kamal-proxy``, and the containers as a deploy with Kamal has them."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.port = world.free_port()
        self._requests = bench.requests
        self._version = 1000
        self._old: list[str] = []
        # Its control socket and its state are in the home of who runs it.
        self._environment = {**world.ENVIRONMENT, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        self._log = folder / "kamal.log"

    @contextlib.contextmanager
    def running(self) -> Iterator[Kamal]:
        argv = ["kamal-proxy", "run", "--http-port", str(self.port), "--https-port", str(world.free_port())]
        with world.running(argv, self._log, self._environment) as process:
            listing = ["kamal-proxy", "list"]
            world.wait_until(
                lambda: not subprocess.run(listing, env=self._environment, capture_output=True, check=False).returncode,
                process,
                self._log,
            )
            if not self.deploy("good"):
                raise SystemExit(f"kamal-proxy does not take a good release: {self._log.read_text()[-1000:]}")
            yield self

    def deploy(self, release: str) -> bool:
        self._version += 1
        new = [self._start(release) for _ in range(COUNT)]
        targets = [word for name in new for word in ("--target", f"{_address(name)}:8080")]
        argv = ["kamal-proxy", "deploy", NAME, *targets, "--health-check-path", SERVICE_PATH]
        done = subprocess.run(argv, env=self._environment, capture_output=True, check=False)
        taken_in = done.returncode == 0
        gone = self._old if taken_in else new
        if gone:
            docker("stop", *gone)
            docker("rm", *gone)
        if taken_in:
            self._old = new
        return taken_in

    def _start(self, release: str) -> str:
        words = [f"RELEASE={release}", f"VERSION={self._version}", f"SERVICE_PATH={SERVICE_PATH}"]
        environment = [word for pair in words for word in ("--env", pair)]
        volume = f"{self._requests}:/requests"
        command = ["/bin/busybox", "sh", "/release.sh"]
        return docker(
            "run",
            "--detach",
            "--name",
            f"{NAME}-{secrets.token_hex(4)}",
            "--volume",
            volume,
            *environment,
            IMAGE,
            *command,
        ).strip()


def _address(container: str) -> str:
    """Of a container in Docker's own network; empty for one that has ended already."""
    found = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    return next(iter(found.values()))["IPAddress"]


class Article:
    """Docker Flow: Proxy of 2016, as far as it matters here (its reconfigure.go): no wait, no check, ``-sf``."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._config, self._pids = folder / "dfp.cfg", folder / "dfp.pid"
        self._registry = registry
        self.port = world.free_port()

    def reconfigure(self) -> None:
        _render(self._config, self._registry, self.port)
        old = self._pids.read_text().split() if self._pids.exists() else []
        finish = ["-sf", *old] if old else []
        subprocess.run(
            ["haproxy", "-D", "-f", str(self._config), "-p", str(self._pids), *finish], check=True, capture_output=True
        )

    def stop(self) -> None:
        for pid in self._pids.read_text().split() if self._pids.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 15)


class Follower:
    """A proxy that has every container which runs, a moment after it starts or ends; its reloads lose nothing."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._config, self._log = folder / "follower.cfg", folder / "follower.log"
        self._registry = registry
        self.port = world.free_port()

    @contextlib.contextmanager
    def running(self) -> Iterator[Follower]:
        index = _render(self._config, self._registry, self.port, _RETRIES)
        over = threading.Event()
        argv = ["haproxy", "-W", "-db", "-f", str(self._config)]
        with world.running(argv, self._log) as process:
            follow = threading.Thread(target=self._follow, args=(process, index, over), daemon=True)
            follow.start()
            yield self
            over.set()

    def _follow(self, process: subprocess.Popen, index: str, over: threading.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(requests.RequestException, KeyError):
                before, index = index, _render(self._config, self._registry, self.port, _RETRIES, index)
                if index != before and not over.is_set():
                    process.send_signal(signal.SIGUSR2)
                    # A second worker that starts while the first still does is refused.
                    time.sleep(0.2)


def _render(config: Path, registry: str, port: int, retries: str = "", index: str = "") -> str:
    """Write the configuration for what the registry says, once it says something new since ``index``: the new one."""
    query = {"index": index, "wait": "5s"} if index else {}
    answer = requests.get(f"{registry}/v1/catalog/service/{NAME}", params=query, timeout=20)
    servers = "\n".join(
        f"    server {entry['Node']}_{number}_{entry['ServicePort']} "
        f"{entry['ServiceAddress']}:{entry['ServicePort']}{'' if retries else ' check'}"
        for number, entry in enumerate(answer.json())
    )
    text = _CONFIG.format(config=config, retries=retries, port=port, path=SERVICE_PATH, servers=servers)
    config.write_text(text)
    return answer.headers["X-Consul-Index"]

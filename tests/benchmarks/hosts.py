"""Three hosts in network namespaces: each with an engine, a Consul server and a proxy, two with containers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import requests
import world
from service import engines

COUNT = 3
# The hosts whose engines run containers.
ENGINES = (1, 2)
ENTRY = 8080
# Plus the host's number: each proxy's name among the others is that of the machine and its API's port.
API = 9000
MODULE = [sys.executable, "-m", "jenkins_proxy"]


class Host:
    """One of them.

    :ivar number: from 1. :ivar address: on the bridge that all are on.
    """

    def __init__(self, number: int, name: str, network: str, folder: Path) -> None:
        self.number = number
        self.address = f"{network}.{10 + number}"
        self.folder = folder / f"host-{number}"
        self.folder.mkdir()
        self.state = self.folder / "state"
        self.state.mkdir()
        self.data = self.folder / "consul"
        self._node_id = uuid.uuid4()
        self._namespace = f"{name}-{number}"
        self._network = network
        self.api = f"http://{self.address}:{API + number}"
        self.consul_url = f"http://{self.address}:8500"
        self.engine = f"tcp://{self.address}:2375"
        self.consul: subprocess.Popen | None = None
        self.daemon: subprocess.Popen | None = None
        self.agent: subprocess.Popen | None = None

    def _start(self, name: str, argv: list[str], **environment: str) -> subprocess.Popen:
        with (self.folder / f"{name}.log").open("ab") as log:
            inside = ["ip", "netns", "exec", self._namespace, *argv]
            return subprocess.Popen(inside, stdout=log, stderr=log, env={**world.ENVIRONMENT, **environment})

    def start_consul(self) -> None:
        config = self.folder / "consul.json"
        config.write_text(
            json.dumps(
                {
                    "server": True,
                    "bootstrap_expect": COUNT,
                    "node_name": f"host-{self.number}",
                    # As a machine's own. Without it a Consul whose data are wiped comes back as another node of the
                    # same name, whose entries the others refuse ("is reserved by node") while they hold the old one.
                    "node_id": str(self._node_id),
                    "bind_addr": self.address,
                    "client_addr": f"127.0.0.1 {self.address}",
                    "data_dir": str(self.data),
                    "retry_join": [f"{self._network}.{10 + number}" for number in range(1, COUNT + 1)],
                    "retry_interval": "1s",
                    "performance": {"raft_multiplier": 1},
                    "ports": {"dns": -1, "grpc": -1},
                    "log_level": "WARN",
                }
            )
        )
        self.consul = self._start("consul", ["consul", "agent", "-config-file", str(config)])

    def start_daemon(self) -> None:
        options = ["--listen", self.api.partition("//")[2], "--bind", f"*:{ENTRY}", "--state-dir", str(self.state)]
        argv = [
            sys.executable,
            "-m",
            "jenkins_proxy",
            "serve",
            *options,
            "--consul",
            "http://127.0.0.1:8500",
            "--insecure",
        ]
        self.daemon = self._start("serve", argv)

    def start_agent(self) -> None:
        argv = [
            sys.executable,
            "-m",
            "jenkins_proxy",
            "registrator",
            "--docker-host",
            self.engine,
            "--ip",
            self.address,
        ]
        self.agent = self._start("registrator", argv, CONSUL_HTTP_ADDR="http://127.0.0.1:8500")

    def haproxies(self) -> list[int]:
        """The process IDs of its HAProxies: the master first."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "comm").read_text() == "haproxy\n" and self.state in (folder / "cwd").resolve().parents:
                    found.append(int(folder.name))
        return sorted(found)

    def link(self, state: str) -> None:
        """Set its way to everybody else ``up`` or ``down``."""
        subprocess.run(["ip", "-n", self._namespace, "link", "set", "eth0", state], check=True)
        if state == "up":
            route = ["ip", "-n", self._namespace, "route", "replace", "default", "via", f"{self._network}.1"]
            subprocess.run(route, check=True)

    def fill_disk(self) -> None:
        """Give its proxy's state no more room: a small file system of its own that is full."""
        with contextlib.suppress(OSError), (self.state / "filler").open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()

    def empty_disk(self) -> None:
        (self.state / "filler").unlink(missing_ok=True)

    def wipe(self, folder: Path) -> None:
        """Take away everything that a folder holds."""
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def end(self) -> None:
        for process in (self.agent, self.daemon, self.consul):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in (self.agent, self.daemon, self.consul):
            if process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)
                process.kill()
        for pid in self.haproxies():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def read(url: str, *, seconds: float = 5) -> object:
    """The JSON there; None where nobody answers with one."""
    try:
        answer = requests.get(url, timeout=seconds)
        return answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError):
        return None


def wait_until(condition, what: str, seconds: float = 60) -> float:
    """Come back when it holds. :return: after how many seconds."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - begin


@contextlib.contextmanager
def hosts() -> Iterator[list[Host]]:
    """All of them, running; everything ends with the block. Needs root."""
    name = f"soak-{os.getpid()}"
    with world.folder() as folder, engines(folder, COUNT, name, 150, "noswarm") as network:
        made = [Host(number, name, network, folder) for number in range(1, COUNT + 1)]
        try:
            for host in made:
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", host.state], check=True)
                host.start_consul()
            wait_until(lambda: leader(made), "Consul's leader")
            for host in made:
                host.start_daemon()
            for host in made:
                wait_until(lambda host=host: world.answers(host.api + "/readyz"), f"the proxy of host {host.number}")
            for number in ENGINES:
                made[number - 1].start_agent()
            yield made
        finally:
            for host in made:
                host.end()
                subprocess.run(["umount", "-l", host.state], check=False)


def leader(made: list[Host]) -> str:
    """The address of Consul's leader; empty where none is known."""
    for host in made:
        if found := read(f"{host.consul_url}/v1/status/leader"):
            return str(found).partition(":")[0]
    return ""

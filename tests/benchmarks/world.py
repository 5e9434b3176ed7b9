"""The real parts that a benchmark measures: a Consul, the daemon with its HAProxy, and something that answers."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
import trustme

READY_SECONDS = 120.0
# Consul takes 64 operations in one transaction.
_AT_ONCE = 64
# Settings of the person who measures must not reach into it.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("CONSUL_", "JENKINS_", "DOCKER_", "COMPOSE_", "SERVICE_"))
}


def free_port() -> int:
    """A port below those that the kernel and Docker hand out: connections would take one of theirs before its user."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_768)))
            return probe.getsockname()[1]


@contextlib.contextmanager
def running(argv: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen]:
    """A program that is ended, by its process id, with the block."""
    with log.open("ab") as stream:
        process = subprocess.Popen(argv, stdout=stream, stderr=stream, env=env or ENVIRONMENT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition, process: subprocess.Popen, log: Path) -> None:
    """Come back when the condition holds; a process that ends meanwhile is an error with its log."""
    end = time.monotonic() + READY_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"not ready: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


@contextlib.contextmanager
def consul(folder: Path, connections: int = 200, https: int = -1) -> Iterator[str]:
    """A real Consul, as its HTTP address.

    :param connections: its ``http_max_conns_per_client``, 200 by default.
    :param https: a port that it serves, too, with a certificate of the authority in ``ca.pem`` of the folder.
    """
    keys = {}
    if https > 0:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "consul.pem"))
        keys = {"cert_file": str(folder / "consul.pem"), "key_file": str(folder / "consul.pem")}
    ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
    config = folder / "consul.json"
    config.write_text(
        json.dumps(
            {
                "ports": {**ports, "https": https, "dns": -1, "grpc": -1},
                **keys,
                "bind_addr": "127.0.0.1",
                "log_level": "ERR",
                "limits": {"http_max_conns_per_client": connections},
            }
        )
    )
    url = f"http://127.0.0.1:{ports['http']}"
    log = folder / "consul.log"
    with running(["consul", "agent", "-dev", "-config-file", str(config)], log) as process:
        wait_until(lambda: answers(url + "/v1/status/leader") and answers(url + "/v1/health/node/_"), process, log)
        yield url


class Daemon:
    """``jenkins-proxy serve``.

    :ivar api: its API's address. :ivar entry: the port where users enter. :ivar registry: the registry's address.
    :ivar settings: more of its environment.
    """

    def __init__(self, folder: Path, consul_url: str = "", *arguments: str, stop_haproxy: bool = True) -> None:
        ports = [free_port() for _ in range(3)]
        self.folder = folder
        self.state = folder / "state"
        self.api, self.entry = f"http://127.0.0.1:{ports[0]}", ports[1]
        self.registry = consul_url or f"http://127.0.0.1:{ports[2]}"
        where = ["--consul", consul_url] if consul_url else ["--registry-listen", f"127.0.0.1:{ports[2]}"]
        self.argv = [
            sys.executable,
            "-m",
            "jenkins_proxy",
            "serve",
            "--listen",
            f"127.0.0.1:{ports[0]}",
            "--bind",
            f"127.0.0.1:{ports[1]}",
            "--state-dir",
            str(self.state),
            *(["--stop-haproxy"] if stop_haproxy else []),
            *where,
            *arguments,
        ]
        self.log = folder / "serve.log"
        self.settings: dict[str, str] = {}
        self.environment = {
            **ENVIRONMENT,
            "JENKINS_PROXY_URL": self.api,
            "CONSUL_HTTP_ADDR": self.registry,
            "JENKINS_PROXY_ENTRY": f"http://127.0.0.1:{self.entry}",
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen]:
        with running(self.argv, self.log, {**ENVIRONMENT, **self.settings}) as process:
            wait_until(lambda: answers(self.api + "/healthz"), process, self.log)
            yield process

    def command(self, *arguments: str, expect: tuple[int, ...] = (0,), **environment: str) -> float:
        """Run one of our commands as a Jenkins step does, and say how many seconds it took."""
        start = time.perf_counter()
        argv = [sys.executable, "-m", "jenkins_proxy", *arguments]
        env = {**self.environment, **environment}
        done = subprocess.run(argv, text=True, capture_output=True, check=False, env=env)
        if done.returncode not in expect:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return time.perf_counter() - start


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    # Short: a unix socket's path may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="jpb-") as name:
        yield Path(name)


def fill(
    consul: str,
    size: int,
    port: int,
    *,
    instances: int,
    routes: int | None = None,
    skip_check: bool = True,
    nodes: int = 1,
) -> None:
    """Services, their instances and routes for the first of them, written at once as no agent would."""
    for number in range(nodes):
        entry = {"Node": node(number, nodes), "Address": "127.0.0.1"}
        requests.put(consul + "/v1/catalog/register", json=entry).raise_for_status()
    operations = []
    for number in range(size):
        name = f"bench-{number}"
        for instance in range(instances):
            service = {"ID": f"{name}-{instance}", "Service": name, "Address": _address(number, instance), "Port": port}
            where = node(number * instances + instance, nodes)
            operations.append({"Service": {"Verb": "set", "Node": where, "Service": service}})
        if routes is not None and number >= routes:
            continue
        route = json.dumps({"service": name, "paths": [f"/{name}/"], "skip_check": skip_check})
        pair = {"Key": f"jenkins-proxy/routes/{name}", "Value": base64.b64encode(route.encode()).decode()}
        operations.append({"KV": {"Verb": "set", **pair}})
    for at in range(0, len(operations), _AT_ONCE):
        requests.put(consul + "/v1/txn", json=operations[at : at + _AT_ONCE]).raise_for_status()


def node(number: int, nodes: int) -> str:
    """The name of the node that something is on."""
    return f"bench-{number % nodes}"


def _address(number: int, instance: int) -> str:
    """All of 127.0.0.0/8 is this machine."""
    return f"127.{1 + number // 250 % 250}.{1 + number % 250}.{1 + instance}"


class Stats:
    """Asks HAProxy itself, over its stats socket, whether a server is in rotation."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def ask(self, command: str) -> str:
        folder = os.open(next(self._state.rglob("stats.sock")).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(f"/proc/self/fd/{folder}/stats.sock")
                connection.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        finally:
            os.close(folder)

    def servers(self, service: str) -> int:
        """How many servers of a service take requests."""
        with contextlib.suppress(OSError, StopIteration):
            lines = self.ask(f"show servers state {service}-be").splitlines()[2:]
            # Operational state 2 is "running", administrative state 0 is neither drained nor in maintenance.
            return sum(line.split()[5:7] == ["2", "0"] for line in lines if line.strip())
        return 0

    def all_servers(self) -> int:
        with contextlib.suppress(OSError, StopIteration):
            return sum(",UP" in line or ",no check" in line for line in self.ask("show stat -1 4 -1").splitlines())
        return 0


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """Something that answers 200, on one port of every address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()

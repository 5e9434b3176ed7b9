"""The daemon as a whole, from outside: its own process, real registries, a real HAProxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from jenkins_proxy.clients.proxy import ProxyClient
from tests.fixtures.traffic import Echoing


class Backend:
    """An instance: answers every request with its own port, what is upgraded by an echo; with ``hold()`` only when it
    is let go."""

    def __init__(self) -> None:
        self.status = 200
        self._go = threading.Event()
        self._go.set()
        backend = self

        class Handler(Echoing):
            def do_GET(self) -> None:  # noqa: N802
                backend._go.wait(20)
                if self.headers.get("Upgrade"):
                    self.echo()
                    return
                body = str(backend.port).encode()
                self.send_response(backend.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # HAProxy's checks hang up before they are answered: that is no news.
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    def stop(self) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def backends():
    """``backends(2)`` starts two instances."""
    started: list[Backend] = []

    def start(count: int = 1) -> list[Backend]:
        made = [Backend() for _ in range(count)]
        started.extend(made)
        return made

    yield start
    for backend in started:
        backend.stop()


class Daemon:
    """A ``serve`` that runs, and what speaks to it."""

    def __init__(self, api: str, entry: int, registry: str, state: Path, argv: list[str], env: dict) -> None:
        self.api, self.entry, self.registry, self.state = api, entry, registry, state
        self._argv, self._env = argv, env
        self.process: subprocess.Popen
        self.said = ""

    def limit_descriptors(self, most: int) -> None:
        """It may have no more of them when it starts."""
        self._argv = ["prlimit", f"--nofile={most}:{most}", *self._argv]

    def take_small_disk(self) -> None:
        """Its state is on a file system of its own with little room. Needs root."""
        self.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", self.state], check=True)

    def wrap(self, *argv: str) -> None:
        """It is started by this program."""
        self._argv = [*argv, *self._argv]

    def fill_disk(self) -> None:
        """Its small disk takes not another byte."""
        with contextlib.suppress(OSError), (self.state / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def empty_disk(self) -> None:
        """The opposite."""
        (self.state / "filler").unlink()

    def start(self) -> None:
        self.process = subprocess.Popen(self._argv, env=self._env, stderr=subprocess.PIPE, text=True)
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,))
        self._reader.start()
        assert ready.wait(30), f"serve is not ready: {self.said}"
        assert "serving: " in self.said, self.said

    def _read(self, ready: threading.Event) -> None:
        # Also after it is ready: it would stop at a full pipe.
        for line in self.process.stderr:
            self.said += line
            if "serving: " in line:
                ready.set()
        ready.set()

    def end(self, signum: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(timeout=30)
        self._reader.join()
        self.process.stderr.close()
        return code

    def curl(self, path: str, *arguments: str) -> tuple[int, str]:
        """``curl -f`` on the API: exit code and output."""
        done = subprocess.run(
            ["curl", "-sS", "-f", *arguments, self.api + path], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def get(self, path: str, host: str = "") -> tuple[int, str]:
        """A request through the entry, as a user makes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.entry, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answering(self, path: str, count: int = 12) -> set[str]:
        """Which instances answer so many requests in turn."""
        return {self.get(path)[1] for _ in range(count)}

    def told(self) -> dict:
        """What the page is made of."""
        with urllib.request.urlopen(self.api + "/v1/state", timeout=10) as answer:
            return json.load(answer)

    def register(self, service: str, backend: Backend, **check: object) -> None:
        self._put(
            "/v1/agent/service/register",
            {"ID": f"{service}-{backend.port}", "Name": service, "Address": "127.0.0.1", "Port": backend.port, **check},
        )

    def clear(self) -> None:
        """No routes and no instances, as at its start."""
        with contextlib.closing(ProxyClient(self.api)) as client:
            for route in client.routes():
                client.remove_route(route["service"])
        with urllib.request.urlopen(self.registry + "/v1/agent/services", timeout=10) as answer:
            for identity in json.load(answer):
                self._put(f"/v1/agent/service/deregister/{identity}", None)

    def deregister(self, service: str, backend: Backend) -> None:
        self._put(f"/v1/agent/service/deregister/{service}-{backend.port}", None)

    def _put(self, path: str, data: object) -> None:
        request = urllib.request.Request(self.registry + path, json.dumps(data).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()


def haproxies(state: Path) -> list[int]:
    """The process IDs of the HAProxies that were started for a state directory."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text() == "haproxy\n" and state in (folder / "cwd").resolve().parents:
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def _daemons(free_port, folder: Path) -> Iterator[Callable[..., Daemon]]:
    made: list[Daemon] = []

    def make(*arguments: str, consul: str = "", scheme: str = "http", **environ: str) -> Daemon:
        api, entry, registry = free_port(), free_port(), free_port()
        state = folder / f"state{len(made)}"
        where = ["--consul", consul] if consul else ["--registry-listen", f"127.0.0.1:{registry}"]
        argv = [sys.executable, "-m", "jenkins_proxy", "serve", "--listen", f"127.0.0.1:{api}", *where,
                "--bind", f"127.0.0.1:{entry}", "--state-dir", str(state), *arguments]  # fmt: skip
        # No engine: these tests register by hand, and what else runs on this machine is not theirs.
        env = {**os.environ, "DOCKER_HOST": f"unix://{folder}/absent.sock", **environ}
        url = consul or f"http://127.0.0.1:{registry}"
        made.append(Daemon(f"{scheme}://127.0.0.1:{api}", entry, url, state, argv, env))
        return made[-1]

    yield make
    for daemon in made:
        if hasattr(daemon, "process"):
            # With its HAProxy. Of one that has ended without it, the next start takes that over.
            if daemon.process.poll() is not None and haproxies(daemon.state):
                daemon.start()
            daemon.end(signal.SIGINT)
        if daemon.state.is_mount():
            subprocess.run(["umount", daemon.state], check=True)


@pytest.fixture
def make_daemon(haproxy, free_port, tmp_path):
    """``make_daemon("--insecure", consul=url, JENKINS_PROXY_TOKEN=…)``: one that is not started yet."""
    with _daemons(free_port, tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_daemon(haproxy, free_port, tmp_path_factory):
    """As ``make_daemon``, for the tests of one module."""
    with _daemons(free_port, tmp_path_factory.mktemp("daemon")) as make:
        yield make


@pytest.fixture(params=[pytest.param("", id="embedded"), pytest.param("start_consul", id="consul")])
def daemon(request, make_daemon):
    """One that serves; each test runs with the embedded registry and with a real Consul."""
    made = make_daemon(consul=request.getfixturevalue(request.param)()[0] if request.param else "")
    made.start()
    return made

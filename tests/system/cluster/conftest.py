"""More than one machine: engines in network namespaces, a Consul that can be stopped, daemons and agents beside it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient
from tests.fixtures.agents import AGENTS

# Nodes that are lost take Swarm half a minute to notice, and all kinds of faults take two minutes: only
# `bash tests/run cluster` has that time.
collect_ignore = [] if os.environ.get("TESTS_CLUSTER") == "all" else ["test_lost_nodes.py", "test_soak.py"]

MODULE = [sys.executable, "-m", "jenkins_proxy"]


@pytest.fixture(scope="session")
def image(books_image):
    """``image(1)`` and ``image(2)`` are two versions of an image that answers ``/$BOOKS/`` with its version."""
    return books_image


@dataclass(frozen=True)
class Cluster:
    """Engines in network namespaces of their own, all on one bridge."""

    network: str
    name: str = ""
    folder: str = ""
    run: Callable[[str], None] | None = None

    def kill(self, node: int) -> None:
        """Pull its plug: engine and containers are gone without a word."""
        os.kill(int(Path(self.folder, str(node), "leader").read_text()), signal.SIGKILL)

    def mend(self, node: int) -> None:
        """Whatever a test before has done to it, it is up and reached."""
        if Path("/proc", Path(self.folder, str(node), "leader").read_text().strip()).exists():
            self.cut_off(node, off=False)
        else:
            self.start_again(node)

    def start_again(self, node: int) -> None:
        """Power is back: it starts with what it had, and nothing of it runs."""
        self.run(f"cluster_again {node}")

    def cut_off(self, node: int, *, off: bool = True) -> None:
        """Its containers run on, and nobody reaches them."""
        argv = ["ip", "-n", f"{self.name}-{node}", "link", "set", "eth0", "down" if off else "up"]
        subprocess.run(argv, check=True)

    def inside(self, node: int) -> list[str]:
        """What a command line begins with that is run on the node: its name, files and engine, and our network."""
        leader = Path(self.folder, str(node), "leader").read_text().strip()
        return ["nsenter", "--target", leader, "--mount", "--uts"]

    def address(self, node: int) -> str:
        return f"{self.network}.{10 + node}"

    def host(self, node: int) -> str:
        return f"tcp://{self.address(node)}:2375"


_CLUSTERS = itertools.count()


@pytest.fixture(scope="module")
def start_cluster(repository, image, tmp_path_factory):
    """``start_cluster("swarm")`` or ``("noswarm")`` is two engines that have the image; all end with the module.

    With ``certificates``, which gives the folder of a certificate for the nodes' addresses, they insist on TLS.
    """
    started = []

    def run(script: str, environment: dict) -> None:
        text = f". {repository}/resources/environments/cluster.sh; {script}"
        answer = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr

    def start(joined: str, nodes: int = 2, certificates=None) -> Cluster:
        # The process number keeps two runs on one machine apart, and the count the clusters of one run.
        number = os.getpid() * 8 + next(_CLUSTERS)
        network = f"10.{100 + number // 256 % 50}.{number % 256}"
        environment = {
            **os.environ,
            "CLUSTER_NAME": f"cs-{number}",
            "CLUSTER_NET": network,
            "CLUSTER_DIR": str(tmp_path_factory.mktemp("cluster")),
        }
        if certificates:
            addresses = [Cluster(network).address(node + 1) for node in range(nodes)]
            environment["CLUSTER_TLS"] = certificates(*addresses)
        started.append(environment)
        run(f"cluster_up {nodes} {joined} && cluster_load {image(1)} && cluster_load {image(2)}", started[-1])
        again = functools.partial(run, environment=environment)
        return Cluster(network, environment["CLUSTER_NAME"], environment["CLUSTER_DIR"], again)

    try:
        yield start
    finally:
        for environment in started:
            run("cluster_down", environment)


class ConsulServer:
    """A real Consul of one server that can be stopped and started at its ports. In memory unless it has a folder."""

    def __init__(self, program: str, folder: Path, ports: dict[str, int], *, keep: bool = False, **more) -> None:
        self._log = folder / "log"
        config = folder / "config.json"
        text = {"ports": {"dns": -1, "grpc": -1, **ports}, "bind_addr": "127.0.0.1", **more}
        config.write_text(json.dumps(text))
        kind = ["-server", "-bootstrap-expect", "1", "-data-dir", str(folder / "data")] if keep else ["-dev"]
        self._argv = [program, "agent", *kind, "-config-file", str(config)]
        scheme = "https" if ports.get("http") == -1 else "http"
        self.url = f"{scheme}://127.0.0.1:{ports.get(scheme)}"
        self.cacert = more.get("ca_file", "")
        self._certificate = (more["cert_file"], more["key_file"]) if self.cacert else None
        self._process: subprocess.Popen | None = None

    def start(self, wait_for) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        wait_for(self._ready, f"Consul at {self.url}")

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(
                self.url + "/v1/status/leader", verify=self.cacert or True, cert=self._certificate, timeout=2
            )
            return len(answer.text) > 4
        return False

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None


def _consul_servers(consul_program, free_port, wait_for, tmp_path_factory):
    """``consul_server(keep=True)`` starts a Consul of the test's own, whose data outlive its stop."""
    started = []

    def start(*, keep: bool = False, https: bool = False, **more) -> ConsulServer:
        ports = {name: free_port() for name in ("server", "serf_lan", "serf_wan", "https" if https else "http")}
        folder = tmp_path_factory.mktemp("consul")
        made = ConsulServer(consul_program, folder, {"http": -1, **ports}, keep=keep, **more)
        started.append(made)
        made.start(wait_for)
        return made

    yield start
    for server in started:
        server.stop()


consul_server = pytest.fixture(_consul_servers)
module_consul_server = pytest.fixture(scope="module")(_consul_servers)


class Daemon:
    """A ``serve`` with ports and a state directory that outlive it."""

    def __init__(self, argv: list[str], environment: dict, api: str, entry: str, log: Path) -> None:
        self._argv, self._environment, self._log = argv, environment, log
        self.api, self.entry = api, entry
        self.process: subprocess.Popen | None = None

    @property
    def client(self) -> ProxyClient:
        return ProxyClient(self.api)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def start(self, wait_for) -> None:
        before = self.said.count("serving: ") if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([*MODULE, *self._argv], env=self._environment, stderr=log)

        def ready() -> bool:
            assert self.process.poll() is None, self.said
            return self.said.count("serving: ") > before

        wait_for(ready, f"serve at {self.api}")

    def stop(self, signum: int = signal.SIGTERM) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(timeout=30) if self.process else 0

    def get(self, path: str) -> tuple[int, str]:
        """What a user meets."""
        answer = requests.get(self.entry + path, timeout=10)
        return answer.status_code, answer.text


def _daemons(haproxy, free_port, wait_for, tmp_path_factory):
    """``start_daemon("--consul", url, JENKINS_PROXY_TOKEN="x")`` is a ``serve`` with its API on loopback."""
    started = []

    def start(*arguments: str, scheme: str = "http", **environment: str) -> Daemon:
        api, entry = (f"127.0.0.1:{free_port()}" for _ in range(2))
        folder = tmp_path_factory.mktemp("serve")
        argv = [
            "serve",
            "--listen",
            api,
            "--bind",
            entry,
            "--state-dir",
            str(folder / "state"),
            "--stop-haproxy",
            *arguments,
        ]
        path = f"{os.environ['PATH']}:{os.path.dirname(haproxy)}"
        made = Daemon(
            argv,
            {**os.environ, "PATH": path, **environment},
            f"{scheme}://{api}",
            f"http://{entry}",
            folder / "log",
        )
        started.append(made)
        made.start(wait_for)
        return made

    yield start
    for daemon in started:
        daemon.stop()


start_daemon = pytest.fixture(_daemons)
module_start_daemon = pytest.fixture(scope="module")(_daemons)


@pytest.fixture(params=AGENTS)
def start_agent(request):
    """``start_agent(cluster, 1, CONSUL_HTTP_ADDR=…)`` enters the containers of a node: ours, and Registrator."""
    start = request.getfixturevalue(request.param)

    def start_on(cluster: Cluster, node: int, **environment: str) -> subprocess.Popen:
        on = cluster.inside(node) if request.param == "real_registrator" else None
        return start(cluster.host(node), cluster.address(node), on=on, **environment)

    return start_on


@dataclass(frozen=True)
class Ended:
    """How a command of ours ended."""

    code: int
    report: dict
    text: str

    @property
    def nodes(self) -> set[str]:
        return {instance["address"] for instance in self.report["instances"]}


class Delivery:
    """Our commands for one service, as Jenkins runs them: the compose file in a folder, all else in the environment."""

    def __init__(self, service: str, image, folder: Path, **environment: str) -> None:
        self.service, self._image, self._folder, self.environment = service, image, folder, environment
        self.file = folder / "docker-compose.yml"

    def write(self, version: int, **app: object) -> None:
        """Write the compose file: its app runs this version, with more keys or others than usual."""
        service = {
            "image": self._image(version),
            "ports": ["8080"],
            "environment": {"SERVICE_NAME": self.service, "BOOKS": self.service},
            **app,
        }
        self.file.write_text(json.dumps({"version": "3.8", "services": {"app": service}}))

    def run(self, command: str, *arguments: str, **environment: str) -> Ended:
        report = self._folder / f"{uuid.uuid4().hex}.json"
        argv = [
            *MODULE,
            command,
            self.service,
            "-f",
            str(self.file),
            "--timeout",
            "40",
            *arguments,
            "--report",
            str(report),
        ]
        done = subprocess.run(
            argv,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return Ended(done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stderr)

    def compose(self, *arguments: str) -> str:
        """What a person would type."""
        argv = ["docker", "compose", "-p", self.service, "-f", str(self.file), *arguments]
        return subprocess.run(
            argv, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True
        ).stdout

    def deploy(self, *arguments: str, **environment: str) -> Ended:
        path = f"/{self.service}"
        return self.run("deploy", "--path", path, "--probe-path", f"{path}/", *arguments, **environment)


@pytest.fixture
def delivery(image, tmp_path):
    """``delivery("books", DOCKER_HOST=…)`` is a service of the test's own, with where things are."""

    def make(service: str, **environment: str) -> Delivery:
        folder = tmp_path / f"{service}-{uuid.uuid4().hex[:4]}"
        folder.mkdir()
        return Delivery(service, image, folder, **environment)

    return make


@pytest.fixture
def stack_gone(docker, wait_for):
    """``stack_gone(host, "books")`` removes a stack with its networks.

    The manager refuses to remove a network that a task uses, and learns some moments later that one has ended with its
    service: `docker stack rm` does not wait for that, and removes the network when it is called again.
    """

    def gone(host: str, stack: str) -> bool:
        argv = [docker, "-H", host]
        removed = subprocess.run([*argv, "stack", "rm", stack], capture_output=True, text=True, check=False)
        assert removed.returncode == 0 or "is in use by task" in removed.stderr, removed.stderr
        left = [*argv, "network", "ls", "-qf", f"label=com.docker.stack.namespace={stack}"]
        return not subprocess.run(left, capture_output=True, text=True, check=True).stdout

    return lambda host, stack: wait_for(lambda: gone(host, stack), f"the stack {stack} to be gone", 60)


@pytest.fixture
def emptied(docker):
    """``emptied(host)`` has an engine rid of its containers and networks after the test; the engine is ours alone."""
    hosts = []
    yield hosts.append
    for host in hosts:
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-fv"]),
            (["network", "ls", "-qf", "type=custom"], ["network", "rm"]),
        ):
            argv = [docker, "-H", host]
            found = subprocess.run([*argv, *listing], capture_output=True, text=True, check=True).stdout.split()
            if found:
                subprocess.run([*argv, *removal, *found], capture_output=True, check=True)


class Origin:
    """An instance without a container: answers every request with its name.

    :ivar release: what ends with ``/slow`` is answered once it is set, and what ends with ``/stream`` ends then.
    :ivar asked: the paths of these.
    """

    def __init__(self, name: str) -> None:
        self.release = release = threading.Event()
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                if self.path.endswith("/stream"):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"begun")
                if self.path.endswith(("/slow", "/stream")):
                    asked.append(self.path)
                    release.wait(30)
                if self.path.endswith("/stream"):
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # HAProxy's checks hang up before they are answered: that is no news.
        self._server.handle_error = lambda *_: None
        self.name, self.port = name, self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def register(self, url: str, service: str) -> None:
        entry = {"ID": self.name, "Name": service, "Address": "127.0.0.1", "Port": self.port}
        with Consul(url) as registry:
            registry.register(entry)

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def origins():
    """``origins("one", "two")`` starts instances."""
    started = []

    def start(*names: str) -> list[Origin]:
        made = [Origin(name) for name in names]
        started.extend(made)
        return made

    yield start
    for origin in started:
        origin.stop()


@pytest.fixture(scope="session")
def curl():
    """``curl(url)`` is what the article's ``curl`` gets: status and text."""

    def ask(url: str) -> tuple[int, str]:
        request = urllib.request.Request(url, headers={"User-Agent": "curl/7.88.1"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return ask

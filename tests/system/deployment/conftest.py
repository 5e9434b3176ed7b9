"""One machine with a daemon, and services that are deployed to it for real."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.model import Route
from tests.fixtures.shared import daemon_of_all
from tests.fixtures.traffic import asking


@pytest.fixture(scope="session")
def image(books_image):
    """``image(1)`` and ``image(2)`` are two versions of an image that answers ``/books`` with its version."""
    return books_image


@dataclass
class Machine:
    """One machine as a newcomer has it: registry, agent, HAProxy and API in one daemon, started by ``serve``.

    :ivar process: of the daemon, where it is the test's own.
    """

    proxy: str
    consul: str
    entry: str
    folder: Path
    process: subprocess.Popen | None = field(default=None, repr=False)
    docker_host: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "JENKINS_PROXY_URL": self.proxy,
            "CONSUL_HTTP_ADDR": self.consul,
            "JENKINS_PROXY_ENTRY": self.entry,
            "DOCKER_HOST": self.docker_host,
        }

    @property
    def registry(self) -> Consul:
        return Consul(self.consul)

    @property
    def client(self) -> ProxyClient:
        return ProxyClient(self.proxy)


def serve_argv(machine: Machine, *more: str) -> list[str]:
    """The command of a fresh daemon with everything in it, or with more arguments."""
    proxy, consul, entry = (url.partition("//")[2] for url in (machine.proxy, machine.consul, machine.entry))
    argv = [sys.executable, "-m", "jenkins_proxy", "serve", "--listen", proxy, "--registry-listen", consul]
    return [*argv, "--bind", entry, "--state-dir", str(machine.folder / "state"), "--stop-haproxy", *more]


def serve_environ(haproxy: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ['PATH']}:{os.path.dirname(haproxy)}"}


def ready(machine: Machine) -> bool:
    """Whether its daemon serves. :raises AssertionError: when it has ended."""
    log = machine.folder / "log"
    assert machine.process is None or machine.process.poll() is None, log.read_text()
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{machine.proxy}/healthz", timeout=5) as answer:
        return answer.status == 200
    return False


@pytest.fixture(scope="session")
def machine(haproxy, docker, free_port, wait_for, tmp_path_factory) -> Iterator[Machine]:
    """The daemon that the tests of all workers share: take services of your own."""

    def start(folder: Path, launch: Callable[..., None]) -> None:
        urls = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
        made = Machine(*urls, folder)
        launch(serve_argv(made), folder / "log", env=serve_environ(haproxy))
        wait_for(lambda: ready(made), "serve to be ready")
        (folder / "urls").write_text("\n".join(urls))

    with daemon_of_all(tmp_path_factory, "machine", start) as folder:
        yield Machine(*(folder / "urls").read_text().splitlines(), folder)


@pytest.fixture
def start_machine(haproxy, docker, free_port, wait_for, tmp_path_factory) -> Iterator[Callable[..., Machine]]:
    """``start_machine()`` is a daemon of the test's own: each that runs on follows every container of the engine."""
    started: list[Machine] = []

    def start(*more: str) -> Machine:
        made = Machine(*(f"http://127.0.0.1:{free_port()}" for _ in range(3)), tmp_path_factory.mktemp("serve"))
        with (made.folder / "log").open("wb") as log:
            made.process = subprocess.Popen(serve_argv(made, *more), stdout=log, stderr=log, env=serve_environ(haproxy))
        started.append(made)
        wait_for(lambda: ready(made), "serve to be ready")
        return made

    yield start
    for made in started:
        made.process.terminate()
    for made in started:
        made.process.wait(timeout=30)
        # Of a daemon that a test killed, HAProxy goes on to serve users.
        pid = made.folder / "state" / "haproxy" / "haproxy.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


@dataclass(frozen=True)
class Ended:
    """How a command of ours ended."""

    code: int
    report: dict
    text: str


# `nc` answers every request with an error of the service's own.
ERROR = r"printf 'HTTP/1.0 500 Broken\r\n\r\nTraceback: boom\n'"
FAULTS = {
    "dies": {"command": ["/bin/sh", "-c", "echo cannot reach the database; exit 3"]},
    "answers 500": {"command": ["/bin/sh", "-c", f'exec /bin/busybox nc -ll -p 8080 -e /bin/sh -c "{ERROR}"']},
    "never healthy": {
        "healthcheck": {"test": ["CMD", "/bin/sh", "-c", "echo no database; exit 1"], "interval": "1s", "retries": 1}
    },
    "no image": {"image": "f2-no-image:1"},
    "other name": {"labels": {"SERVICE_NAME": "another-name"}},
}


@dataclass
class Project:
    """A service to deploy, in a compose project that is gone after its test."""

    name: str
    machine: Machine
    docker: str
    folder: Path
    image: object
    flavour: str = "compose-v2"

    def compose(self, version: int = 1, fault: str = "", *, checked: bool = False, **app: object) -> None:
        """Write the compose file: its app runs this version, with a fault, or with more keys or others than usual.

        :param checked: with a HEALTHCHECK. Without one, no request may be sent at the moment a container starts and
            does not listen yet: the engine's own proxy takes connections for it already.
        """
        if checked:
            ask = ["CMD", "/bin/busybox", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:8080/{self.name}/"]
            app["healthcheck"] = {"test": ask, "interval": "1s"}
        image = self.image(version)
        services = {
            "app": {
                "image": image,
                "ports": ["8080"],
                "depends_on": ["db"],
                "environment": {"SERVICE_NAME": self.name, "BOOKS": self.name},
                **(FAULTS[fault] if fault else {}),
                **app,
            },
            # A need that changes with the target is left alone, and a plain `up` would replace both.
            "db": {"image": self.image(1), "command": ["/bin/busybox", "sleep", "1000"]},
        }
        (self.folder / "docker-compose.yml").write_text(json.dumps({"services": services}))

    def argv(self, command: str, *arguments: str, compose: bool = True, report: str = "report.json") -> list[str]:
        words = [sys.executable, "-m", "jenkins_proxy", command, self.name, *arguments]
        if compose:
            words += ["-f", str(self.folder / "docker-compose.yml"), "-p", self.name, "--orchestrator", self.flavour]
        return [*words, "--report", str(self.folder / report)]

    def run(self, command: str, *arguments: str, **more) -> Ended:
        """One command of ours, as Jenkins runs it."""
        done = subprocess.run(
            self.argv(command, *arguments, **more),
            env=self.machine.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return self.ended(done.returncode, done.stderr)

    def start(self, command: str, *arguments: str, **more) -> subprocess.Popen:
        """The same, beside the test."""
        return subprocess.Popen(
            self.argv(command, *arguments, **more),
            env=self.machine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def until(process: subprocess.Popen, word: str) -> str:
        """What a command that was started says up to the line with this word."""
        said = ""
        for line in process.stderr:
            said += line
            if word in line:
                return said
        raise AssertionError(f"it ended without {word!r}: {said}")

    def finish(self, process: subprocess.Popen, text: str = "") -> Ended:
        """Wait for a command that was started; ``text`` is what it had said before."""
        rest = process.communicate(timeout=180)[1]
        return self.ended(process.returncode, text + rest)

    def ended(self, code: int, text: str) -> Ended:
        report = self.folder / "report.json"
        found = json.loads(report.read_text()) if report.exists() else {}
        report.unlink(missing_ok=True)
        return Ended(code, found, text)

    def deploy(self, *arguments: str) -> Ended:
        return self.run("deploy", *self.route, *arguments)

    def deploying(self, *arguments: str) -> subprocess.Popen:
        """A deploy beside the test."""
        return self.start("deploy", *self.route, *arguments)

    @property
    def route(self) -> tuple[str, ...]:
        # What is bad is bad after six seconds as well as after thirty.
        return "--path", f"/{self.name}", "--probe-path", f"/{self.name}/", "--check-timeout", "6"

    def containers(self, service: str = "app", project: str = "", every: bool = False) -> dict[str, str]:
        """The names of the service's running containers, by ID."""
        labels = [
            f"label=com.docker.compose.{key}={value}"
            for key, value in (("project", project or self.name), ("service", service))
        ]
        argv = [self.docker, "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}", *(["-a"] if every else [])]
        for label in labels:
            argv += ["--filter", label]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        return dict(line.split() for line in lines)

    def plain_up(self, *words: str) -> None:
        """What a person would type."""
        program = [self.docker, "compose"] if self.flavour == "compose-v2" else ["docker-compose"]
        file = str(self.folder / "docker-compose.yml")
        subprocess.run([*program, "-p", self.name, "-f", file, "up", "-d", *words], check=True, capture_output=True)

    def serve(self, version: int = 1, *, count: int = 1, **app: object) -> None:
        """Have this version run and routed as people do it without us, which is faster than a deploy."""
        self.compose(version, **app)
        self.plain_up("--scale", f"app={count}")
        self.machine.client.put_route(Route(self.name, paths=(f"/{self.name}",)))
        assert self.get() == (200, f"version {version}\n")
        for _ in range(100):
            if len(self.machine.registry.instances(self.name)[0]) == count:
                return
            time.sleep(0.1)
        pytest.fail(f"the registry does not show {count} instances of {self.name}")

    def get(self) -> tuple[int, str]:
        """What a user meets."""
        host = self.machine.entry.partition("//")[2]
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("GET", f"/{self.name}/")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @contextlib.contextmanager
    def users(self) -> Iterator[list[str]]:
        """Users who ask all the time; the list is of the answers that were not 200, and has to stay empty."""
        failed: list[str] = []
        asked = threading.Event()

        def ask() -> None:
            try:
                status, body = self.get()
                if status != 200:
                    failed.append(f"{status} {body[:80]}")
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))
            asked.set()

        with asking(ask, ask):
            assert asked.wait(10)
            yield failed

    def remove(self) -> None:
        for project in (f"{self.name}-blue", f"{self.name}-green", self.name):
            for kind, end in ((["ps", "-aq"], ["rm", "-fv"]), (["network", "ls", "-q"], ["network", "rm"])):
                argv = [self.docker, *kind, "--filter", f"label=com.docker.compose.project={project}"]
                # The engine gives a network's last address back a moment after its container is gone.
                for _ in range(50):
                    found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
                    removal = [self.docker, *end, *found]
                    if not found or subprocess.run(removal, capture_output=True, check=False).returncode == 0:
                        break
                    time.sleep(0.2)
                else:
                    pytest.fail(f"what is left of {project} cannot be removed: {found}")


@pytest.fixture
def project(machine, docker, image, tmp_path):
    """A service that is deployed with compose v2."""
    made = Project(f"f2-{uuid.uuid4().hex[:8]}", machine, docker, tmp_path, image)
    yield made
    # The containers of a color use the base project's network: they go first.
    made.remove()
    machine.client.remove_route(made.name)


@pytest.fixture(params=["compose-v1", "compose-v2"])
def either_project(project, request):
    """The same with each compose."""
    project.flavour = request.param
    return project

"""What every test may use: a clean environment, free ports and the real parts. A part that is missing is an error."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

pytest_plugins = ["tests.fixtures.engine", "tests.fixtures.traffic"]

REPOSITORY = Path(__file__).resolve().parent.parent
# Settings of the person who runs the tests must not reach into them.
SCRUBBED = ("CONSUL_", "DOCKER_", "COMPOSE_", "JENKINS_PROXY_", "SERVICE_")


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(SCRUBBED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def own_signals():
    """``main`` takes the signals; pytest gets them back."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``docker run --user 54321`` has it: no HOME, and a user of whom the machine knows nothing."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for ask in ("getuid", "geteuid"):
        monkeypatch.setattr(os, ask, lambda: 54321)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's top folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def program():
    """``program("haproxy")`` is its full path; a missing program fails the test."""

    def find(name: str) -> str:
        # Debian keeps haproxy in /usr/sbin, which is not on every user's PATH.
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        assert path, f"{name} is not installed: bash tests/run installs what the tests need"
        return path

    return find


@pytest.fixture(scope="session")
def free_port(worker_id):
    """``free_port()`` is a TCP port on loopback that nothing listens on, and that nobody is given a second time."""
    # Above the well-known, below what the kernel and Docker hand out: a connection would take the port before its test.
    ports = range(20_000, 32_768, 8)
    number = 0 if worker_id == "master" else int(worker_id[2:])
    shuffled = iter(random.sample(ports, len(ports)))

    def pick() -> int:
        for port in shuffled:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port + number % 8))
                return port + number % 8
        raise AssertionError("this worker has used up its ports")

    return pick


@pytest.fixture(scope="session")
def wait_for():
    """``wait_for(condition)`` returns its first truthy value; asks again until then, 20 s at the most."""

    def wait(condition, what: str = "", seconds: float = 20.0):
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def start_consul(program, free_port, wait_for, tmp_path_factory):
    """``start_consul()`` starts a real Consul in development mode: ``(url, process)``. All end with the session."""
    started = []

    def start(*extra: str) -> tuple[str, subprocess.Popen]:
        ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        ports.update(dns=-1, grpc=-1)
        folder = tmp_path_factory.mktemp("consul")
        config = folder / "ports.json"
        config.write_text(json.dumps({"ports": ports, "bind_addr": "127.0.0.1"}))
        log = (folder / "log").open("wb")
        argv = [program("consul"), "agent", "-dev", "-config-file", str(config), *extra]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        started.append((process, log))
        url = f"http://127.0.0.1:{ports['http']}"
        wait_for(lambda: _leader(url) or process.poll() is not None, f"Consul at {url}")
        assert process.poll() is None, (folder / "log").read_text()
        return url, process

    yield start
    for process, log in started:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def _leader(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/v1/status/leader", timeout=1) as answer:
            return len(answer.read()) > 4
    except OSError:
        return False


@pytest.fixture(scope="session")
def consul_url(start_consul) -> str:
    """A real Consul that tests share: take service names and keys of your own."""
    return start_consul()[0]


@pytest.fixture(scope="session")
def docker(program) -> str:
    """The Docker CLI, with an engine that answers."""
    path = program("docker")
    answer = subprocess.run(
        [path, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"no Docker Engine answers: {answer.stderr.strip()}"
    return path


_NOT_RUN = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a Jenkins, what needs one is named as not run, which a skip would hide among the passed."""
    if os.environ.get("JENKINS_URL"):
        return
    not_run = [item for item in items if item.get_closest_marker("jenkins")]
    items[:] = [item for item in items if item not in not_run]
    config.stash[_NOT_RUN] = [item.nodeid for item in not_run]
    config.hook.pytest_deselected(items=not_run)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run = config.stash.get(_NOT_RUN, [])
    if not_run:
        terminalreporter.section(f"{len(not_run)} not run: set JENKINS_URL, JENKINS_USER and JENKINS_TOKEN", sep="-")
        for name in not_run:
            terminalreporter.line(name)

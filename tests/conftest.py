"""What every test may use: a clean environment, free ports and patience. The real parts are in tests/fixtures."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

pytest_plugins = [
    "pytester",
    "tests.plugins.parts",
    "tests.plugins.retry",
    "tests.plugins.spread",
    "tests.fixtures.agents",
    "tests.fixtures.certificates",
    "tests.fixtures.engine",
    "tests.fixtures.grpc",
    "tests.fixtures.images",
    "tests.fixtures.parts",
    "tests.fixtures.traffic",
    "tests.fixtures.wheels",
]

REPOSITORY = Path(__file__).resolve().parent.parent
# Settings of the person who runs the tests must not reach into them.
SCRUBBED = ("CONSUL_", "DOCKER_", "COMPOSE_", "JENKINS_PROXY_", "SERVICE_")
# docker-compose 1.x imports distutils. Where Python has it, setuptools need not put its own in its place, which takes
# almost half of each call.
DISTUTILS = "stdlib" if any(Path("/usr/lib").glob("python3*/distutils/__init__.py")) else "local"


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(SCRUBBED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("SETUPTOOLS_USE_DISTUTILS", DISTUTILS)


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

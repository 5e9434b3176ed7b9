"""The service under load, what is done to it, and the releases of it that are bad or slow on purpose."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import world

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
IMAGE = "jenkins-proxy-bench"
# Of the service and its project: benchmarks may run side by side.
NAME = f"bench-{os.getpid()}"
# Docker's filter for the containers and networks of it.
_OURS = f"name=^/?{NAME}[-_]"
SERVICE_PATH = "/api/v1/bench"
COMPOSE = """\
version: "2"
services:
  app:
    image: jenkins-proxy-bench
    ports: ["8080"]
    stop_grace_period: 8s
    volumes: ["{requests}:/requests"]
    labels: {{bench.name: "{name}", bench.version: "${{VERSION:-1}}"}}
    environment:
      SERVICE_NAME: "${{SERVICE_NAME:-{name}}}"
      SERVICE_PATH: /api/v1/bench
      VERSION: "${{VERSION:-1}}"
      RELEASE: "${{RELEASE:-good}}"
      STOP_SECONDS: "${{STOP_SECONDS:-0}}"
    command: ["/bin/busybox", "sh", "${{PROGRAM:-/release.sh}}"]
"""
STACK = """\
version: "3.8"
services:
  app:
    image: jenkins-proxy-bench
    ports: [{{target: 8080, mode: host}}]
    stop_grace_period: 8s
    volumes: ["{requests}:/requests"]
    environment:
      SERVICE_NAME: {name}
      SERVICE_PATH: /api/v1/bench
      VERSION: "${{VERSION:-1}}"
      RELEASE: "${{RELEASE:-good}}"
      STOP_SECONDS: "${{STOP_SECONDS:-0}}"
    command: ["/bin/busybox", "sh", "/release.sh"]
    deploy: {{replicas: 2}}
"""
HEALTHCHECK = """\
    healthcheck: {test: ["CMD", "/bin/busybox", "false"], interval: 1s, retries: 3}
"""


class Bench:
    """The service under load, and what is done to it.

    :ivar version: the release that was deployed last, good or bad. :ivar requests: the folder where releases write
        down who asked them.
    """

    def __init__(self, folder: Path, daemon: world.Daemon, compose: str = COMPOSE, *more: str) -> None:
        self.daemon = daemon
        self.requests = folder / "requests"
        self.requests.mkdir()
        self.file = folder / "docker-compose.yml"
        self.file.write_text(compose.format(requests=self.requests, name=NAME))
        self._options = ["--path", SERVICE_PATH, "-f", str(self.file), *more]
        self.version = 1
        # The same changes in every run.
        self._random = random.Random(1)

    def deploy(self, *more: str, expect: tuple[int, ...] = (0,), **environment: str) -> None:
        """Deploy the next release; it is an error of the benchmark when it does not end as expected."""
        done = self.try_deploy(*more, **environment)
        if done.returncode not in expect:
            raise SystemExit(f"the deploy ended with {done.returncode}:\n{done.stderr}")

    def try_deploy(self, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Deploy the next release, however that ends."""
        self.version += 1
        return self.command("deploy", *more, **environment)

    def command(self, name: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of ours with all options of this service, for the release that was deployed last."""
        env = self.environment(**environment)
        return subprocess.run(self.argv(name, *more), text=True, capture_output=True, check=False, env=env)

    def argv(self, name: str, *more: str) -> list[str]:
        """The command line of :meth:`command`."""
        return [sys.executable, "-m", "jenkins_proxy", name, NAME, *self._options, *more]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of :meth:`command`."""
        return {**self.daemon.environment, "VERSION": str(self.version), **more}

    def scale(self) -> None:
        self.scale_to(self._random.randint(1, 5))

    def scale_to(self, count: int) -> None:
        self.daemon.command("scale", NAME, str(count), "-f", str(self.file))

    def rolling(self) -> None:
        self.deploy("--strategy", "rolling")

    def blue_green(self) -> None:
        self.deploy("--strategy", "blue-green")

    def change_route(self) -> None:
        self.version += 1
        paths = f"{SERVICE_PATH},/extra/{self.version}"
        self.daemon.command("reconfigure", NAME, "--path", paths, "--probe-path", SERVICE_PATH)

    def fail(self) -> None:
        # The containers of this release end at once: the deploy has to notice, and to undo itself.
        self.deploy("--strategy", "rolling", expect=(3, 5, 6), PROGRAM="/no-such-program")

    def kill(self) -> None:
        """SIGKILL one instance out of three, as the kernel does when memory runs out."""
        self.scale_to(3)
        victim = self.containers()[0]
        docker("kill", "--signal", "KILL", victim)
        time.sleep(2)
        docker("rm", "--force", victim)

    def containers(self) -> list[str]:
        """The IDs of those that run on the machine's own engine."""
        return docker("ps", "--quiet", "--filter", "label=com.docker.compose.service=app", "--filter", _OURS).split()

    def seen(self, version: int) -> collections.Counter[str]:
        """Who sent the requests that a release wrote down: ``user``, ``keyed`` or ``check``, and how many each."""
        files = self.requests.glob(f"{version}-*")
        return collections.Counter(line.split(" ", 1)[0] for file in files for line in file.read_text().splitlines())

    def down(self) -> None:
        found = docker("ps", "--all", "--quiet", "--filter", _OURS).split()
        if found:
            docker("rm", "--force", *found)
        networks = docker("network", "ls", "--quiet", "--filter", _OURS).split()
        if networks:
            docker("network", "rm", *networks)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def build_image(folder: Path) -> None:
    """The demo's service and the releases that are worse, in one image."""
    context = folder / "image"
    shutil.copytree(TOP / "resources" / "demo" / "books-ms", context)
    for name in ("release.sh", "answer.sh"):
        shutil.copy(HERE / name, context / name)
    with (context / "Dockerfile").open("a") as file:
        file.write("COPY release.sh answer.sh /\n")
    shutil.copy(shutil.which("busybox"), context / "busybox")
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, str(context)],
        check=True,
        capture_output=True,
        env={**world.ENVIRONMENT, "DOCKER_BUILDKIT": "0"},
    )


@contextlib.contextmanager
def stage() -> Iterator[tuple[Bench, world.Daemon]]:
    """The daemon with its embedded registry, and the service deployed once with compose."""
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


@contextlib.contextmanager
def stack_stage() -> Iterator[tuple[Bench, world.Daemon]]:
    """The same as a stack, on an engine in Swarm mode in a network namespace of its own. Needs root."""
    with world.folder() as folder, _swarm(folder) as address:
        host = f"tcp://{address}:2375"
        daemon = world.Daemon(folder, "", "--docker-host", host, "--ip", address)
        daemon.environment["DOCKER_HOST"] = host
        with daemon.running():
            bench = Bench(folder, daemon, STACK, "--orchestrator", "stack")
            bench.deploy()
            yield bench, daemon


@contextlib.contextmanager
def _swarm(folder: Path) -> Iterator[str]:
    """An engine with the image: its address."""
    with engines(folder, 1, NAME, 200) as network:
        yield f"{network}.11"


@contextlib.contextmanager
def engines(folder: Path, count: int, name: str, second: int, joined: str = "swarm") -> Iterator[str]:
    """Engines with the image, each in a network namespace of its own; everything in them ends with the block.

    :param second: the second number of their network's address, or up to 50 more.
    :param joined: ``noswarm`` leaves them apart.
    :return: the first three numbers of that address; the engines are ``.11``, ``.12`` …
    """
    build_image(folder)
    number = os.getpid()
    network = f"10.{second + number // 256 % 50}.{number % 256}"
    environment = {
        **world.ENVIRONMENT,
        "CLUSTER_NAME": name,
        "CLUSTER_NET": network,
        "CLUSTER_DIR": str(folder / "cluster"),
    }

    def run(script: str) -> None:
        text = f". {TOP}/resources/environments/cluster.sh; {script}"
        done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"no engines: {done.stderr}")

    try:
        run(f"cluster_up {count} {joined} && cluster_load {IMAGE}")
        yield network
    finally:
        run("cluster_down")

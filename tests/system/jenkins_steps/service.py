"""A service that pipelines deploy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
EXPOSE 8080
STOPSIGNAL SIGKILL
CMD ["/bin/sh", "-c", "/bin/busybox mkdir -p /www/$SERVICE_NAME; echo hello > /www/$SERVICE_NAME/index.html; \
echo version $VERSION > /www/$SERVICE_NAME/version; exec /bin/busybox httpd -f -p 8080 -h /www"]
"""
COMPOSE = """services:
  app:
    image: {image}
    ports: ["8080"]
    environment:
      SERVICE_NAME: {service}
      {check}
      SERVICE_CHECK_INTERVAL: 1s
      VERSION: "${{VERSION:-1}}"
{volume}"""
VOLUME = """    volumes: ["data:/data"]
volumes:
  data: {}
"""


@dataclass
class Service:
    """A service to deploy from a pipeline; its containers are gone after the test."""

    name: str
    machine: dict
    image: str
    docker: str
    folder: Path
    credentials: str

    @property
    def url(self) -> str:
        """Where users meet it."""
        return f"{self.machine['entry']}/{self.name}"

    @property
    def given(self) -> dict[str, str]:
        """Where everything is."""
        return dict(self.machine, python=sys.executable)

    @property
    def places(self) -> str:
        """The same as Groovy, with what the proxy asks for."""
        given = {**self.given, "proxyTokenCredentialsId": self.credentials}
        return ", ".join(f"{key}: '{value}'" for key, value in given.items())

    def arguments(self, **more: str) -> str:
        """What every step of a test is called with, as Groovy."""
        return ", ".join([f"service: '{self.name}'", self.places, *(f"{key}: {value}" for key, value in more.items())])

    def undeploy(self, **more: str) -> str:
        return f"undeployWithProxy({self.arguments(project=repr(self.name), drain=repr('1'), **more)})"

    def deploy(self, *, passes: bool = True, volume: bool = False, **more: str) -> str:
        # Without passing, it is registered and its check asks for a path that it does not have.
        check = 'SERVICE_CHECK_TCP: "true"' if passes else "SERVICE_CHECK_HTTP: /missing"
        path = self.folder / f"{self.name}.yml"
        mounted = VOLUME if volume else ""
        path.write_text(COMPOSE.format(image=self.image, service=self.name, check=check, volume=mounted))
        return (
            "deployWithProxy("
            + self.arguments(path=f"'/{self.name}'", probePath=f"'/{self.name}/'", file=f"'{path}'", **more)
            + ")"
        )

    def start(self, token: str) -> None:
        """Deploy version 1 without Jenkins, which takes a third of the time."""
        self.deploy()
        argv = [sys.executable, "-m", "jenkins_proxy", "deploy", self.name, "--path", f"/{self.name}"]
        argv += ["-f", str(self.folder / f"{self.name}.yml"), "--check-path", f"/{self.name}/"]
        argv += [word for name, url in self.machine.items() for word in (f"--{name}", url)]
        environment = {**os.environ, "JENKINS_PROXY_TOKEN": token}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def scale(self, amount: str) -> str:
        return "scaleWithProxy(" + self.arguments(scale=amount, file=f"'{self.folder / self.name}.yml'") + ")"

    def get(self) -> int:
        """The status that a user meets."""
        try:
            with urllib.request.urlopen(f"{self.machine['entry']}/{self.name}/", timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def version(self) -> str:
        """The version that a user meets: ``version 1``."""
        with urllib.request.urlopen(f"{self.machine['entry']}/{self.name}/version", timeout=10) as answer:
            return answer.read().decode().strip()

    def containers(self) -> list[str]:
        return self.docker_lines("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}")

    def let_it_pass(self) -> None:
        """Give the check of a service that does not pass what it asks for."""
        self.docker_lines("exec", *self.containers(), "/bin/busybox", "touch", "/www/missing")

    def remove(self) -> None:
        ends = (
            (("ps", "-aq"), ("rm", "-f")),
            (("network", "ls", "-q"), ("network", "rm")),
            (("volume", "ls", "-q"), ("volume", "rm")),
        )
        for kind, end in ends:
            found = self.docker_lines(*kind, "--filter", f"label=com.docker.compose.project={self.name}")
            if found:
                self.docker_lines(*end, *found)

    def registry(self, path: str) -> list[dict]:
        """What the registry answers; empty where it has nothing."""
        try:
            with urllib.request.urlopen(f"{self.machine['consul']}/{path}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            assert error.code == 404
            return []

    def docker_lines(self, *words: str) -> list[str]:
        done = subprocess.run([self.docker, *words], capture_output=True, text=True, check=True)
        return done.stdout.split()

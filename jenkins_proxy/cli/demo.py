"""``demo``: the article's story on this machine, with every command shown before it is run.

It starts ``serve`` (embedded registry, proxy, daemon) beside itself, deploys and scales ``books-ms`` through the same
command line that a Jenkinsfile uses, shows what users get after each step, and takes everything down again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import requests

from jenkins_proxy import processes, retry
from jenkins_proxy.console import Console
from jenkins_proxy.errors import JenkinsProxyError, ProxyError, UsageError
from jenkins_proxy.resources import resource
from jenkins_proxy.settings import Settings
from jenkins_proxy.signals import undisturbed

BOOKS = "/api/v1/books"
USERS = "/api/v1/users"
IMAGES = ("books-ms", "books-ms-db")
PROJECTS = {"books-ms": "docker-compose-demo.yml", "users-ms": "docker-compose-users.yml"}
_READY = 30.0
_SHOWN = ("ServiceName", "ServiceID", "ServiceAddress", "ServicePort")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="leave everything up at the end, and print the URLs")


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    for program, package in (("docker", "docker.io"), ("busybox", "busybox-static")):
        if not processes.find(program):
            raise UsageError(
                f"{program} is not installed: the demo is made with it",
                f"apt-get install {package}, or bash resources/demo/run",
            )
    folder = Path(tempfile.mkdtemp(prefix="jenkins-proxy-demo-"))
    demo = Demo(folder, settings, console)
    keep = False
    try:
        demo.play()
        keep = args.keep
    finally:
        if keep:
            demo.say_urls()
        else:
            with undisturbed():
                demo.take_down()
    return 0


class Demo:
    """One showing.

    :param folder: for the daemon's state, logs and the images' build contexts; removed at the end.
    """

    def __init__(self, folder: Path, settings: Settings, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._serve: processes.Process | None = None
        api, registry, entry = (_free(port) for port in (8081, 8500, 80))
        self.proxy = f"http://127.0.0.1:{api}"
        self.consul = f"http://127.0.0.1:{registry}"
        self.entry = f"http://127.0.0.1:{entry}" if entry != 80 else "http://127.0.0.1"
        # The demo is a world of its own: addresses and tokens of a real installation must not reach into it.
        self._env = {
            name: value
            for name, value in settings.docker_environment().items()
            if not name.startswith(("CONSUL_", "JENKINS_PROXY_"))
        }
        self._env.update(JENKINS_PROXY_URL=self.proxy, CONSUL_HTTP_ADDR=self.consul, JENKINS_PROXY_ENTRY=self.entry)
        self._serve_arguments = [
            "serve", "--listen", f"127.0.0.1:{api}", "--registry-listen", f"127.0.0.1:{registry}",
            "--bind", f"*:{entry}", "--state-dir", str(folder / "state"), "--stop-haproxy",
        ]  # fmt: skip

    def play(self) -> None:
        """The whole story. :raises JenkinsProxyError: when something does not come out as it says."""
        self._build_images()
        self._start_serve()
        self._say("1. The article's first job: deploy without the proxy")
        self._run("deploy", "books-ms", "--no-proxy", *self._compose("books-ms"))
        self._show_registry("books-ms")
        self._expect(BOOKS, 503, "the service runs, but the proxy has no route to it")
        self._say("2. The second job: deploy with the proxy")
        self._run("deploy", "books-ms", "--path", BOOKS, *self._compose("books-ms"))
        self._expect(BOOKS, 200, "users reach it, wherever it runs")
        self._say("3. The third job: scale to 3; three different instances answer in turn")
        self._run("scale", "books-ms", "3", *self._compose("books-ms"))
        self._show_instances(BOOKS, 3)
        self._say("4. Scale to 1")
        self._run("scale", "books-ms", "1", *self._compose("books-ms"))
        self._show_instances(BOOKS, 1)
        self._say("5. A second service beside it, on the same port")
        self._run("deploy", "users-ms", "--path", USERS, *self._compose("users-ms"))
        self._expect(USERS, 200, "the second service answers")
        self._expect(BOOKS, 200, "and so does the first")
        self._say("6. What is deployed")
        self._run("status")

    def say_urls(self) -> None:
        self._console.step(
            f"left up: service {self.entry}{BOOKS}, page and API {self.proxy}/, "
            f"registry {self.consul}/v1/catalog/services"
        )
        self._console.step(
            "take it down with: "
            + "; ".join(
                [
                    *([f"kill {self._serve.pid}"] if self._serve else []),
                    *(f"docker compose -p {project} down" for project in PROJECTS),
                ]
            )
        )

    def take_down(self) -> None:
        """Remove whatever of it exists: also after an interruption in the middle."""
        self._say("Taking everything down")
        for project in PROJECTS:
            self._remove_project(project)
        if self._serve:
            processes.terminate(self._serve)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, text: str) -> None:
        self._console.step(f"=== {text}")

    def _build_images(self) -> None:
        self._say("Building the images books-ms and books-ms-db, offline")
        busybox = processes.find("busybox")
        if not busybox:
            raise UsageError("no busybox program to build the images from", "apt-get install busybox-static")
        for image in IMAGES:
            context = self._folder / image
            shutil.copytree(resource(f"demo/{image}"), context)
            shutil.copy(busybox, context / "busybox")
            self._docker("build", "--quiet", "--tag", image, str(context))

    def _start_serve(self) -> None:
        self._say("Starting registry, proxy and daemon: one process")
        self._console.command(["jenkins-proxy", *self._serve_arguments])
        log = self._folder / "serve.log"
        with log.open("wb") as stream:
            argv = [sys.executable, "-m", "jenkins_proxy", *self._serve_arguments]
            env = {name: value for name, value in self._env.items() if name != "CONSUL_HTTP_ADDR"}
            serve = self._serve = processes.start(argv, stream, env=env)

        def ready() -> None:
            if serve.poll() is not None:
                reason = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise JenkinsProxyError(f"serve ended: {reason[0]}")
            if requests.get(self.proxy + "/healthz", timeout=5).status_code != 200:
                raise ProxyError("not ready")

        retry.retry(ready, retry.Deadline(_READY), (requests.RequestException, ProxyError), max_pause=0.2)

    def _compose(self, project: str) -> list[str]:
        return ["-p", project, "-f", str(resource(f"demo/{PROJECTS[project]}"))]

    def _run(self, *arguments: str) -> None:
        """One command of ours, in a process of its own as Jenkins runs it; its text goes straight to the console."""
        self._console.command(["jenkins-proxy", *arguments])
        report = ["--report", str(self._folder / "report.json")] if arguments[0] in ("deploy", "scale") else []
        code = processes.attached([sys.executable, "-m", "jenkins_proxy", *arguments, *report], env=self._env)
        if code:
            raise JenkinsProxyError(f"{arguments[0]} ended with exit code {code}: see above")

    def _docker(self, *arguments: str) -> None:
        # The classic builder needs no plugin; its warning about that would be the demo's first line.
        done = processes.run(["docker", *arguments], env={**self._env, "DOCKER_BUILDKIT": "0"})
        if done.returncode:
            raise JenkinsProxyError(f"docker {arguments[0]} failed: {done.last_line}")

    def _show_registry(self, service: str) -> None:
        url = f"{self.consul}/v1/catalog/service/{service}"
        self._console.command(["curl", url, "|", "jq", f"'.[] | {{{', '.join(_SHOWN)}}}'"])
        for entry in requests.get(url, timeout=10).json():
            self._console.output(json.dumps({name: entry[name] for name in _SHOWN}))

    def _expect(self, path: str, status: int, meaning: str) -> None:
        self._console.command(["curl", "-I", self.entry + path])
        answer = requests.head(self.entry + path, timeout=10)
        self._console.output(f"HTTP/1.1 {answer.status_code} {answer.reason}")
        if answer.status_code != status:
            raise JenkinsProxyError(f"{self.entry}{path} answered {answer.status_code}, not {status}")
        self._console.step(f"{answer.status_code}: {meaning}")

    def _show_instances(self, path: str, count: int) -> None:
        seen = []
        for _ in range(2 * count):
            self._console.command(["curl", self.entry + path])
            answer = requests.get(self.entry + path, timeout=10)
            self._console.output(answer.text.strip())
            seen.append(answer.json()["instance"])
        if len(set(seen)) != count:
            raise JenkinsProxyError(f"{len(set(seen))} instances answered, not {count}: {', '.join(seen)}")
        self._console.step(f"{count} instance(s) answered in turn: {', '.join(dict.fromkeys(seen))}")

    def _remove_project(self, project: str) -> None:
        for kind, listing, remove in (
            ("container", ["ps", "--all", "--quiet"], ["rm", "--force", "--volumes"]),
            ("network", ["network", "ls", "--quiet"], ["network", "rm"]),
        ):
            found = processes.run(
                ["docker", *listing, "--filter", f"label=com.docker.compose.project={project}"],
                capture=True,
                env=self._env,
            )
            ids = found.stdout.split()
            if ids:
                self._console.step(f"removing {len(ids)} {kind}(s) of {project}")
                processes.run(["docker", *remove, *ids], env=self._env)


def _free(port: int) -> int:
    """The port itself if it is free on this machine, else any that is."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("0.0.0.0", candidate))  # noqa: S104 (only asks; nothing listens)
                return int(probe.getsockname()[1])
    raise UsageError("no free TCP port on this machine")

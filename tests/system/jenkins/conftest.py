"""The article's machine: a Jenkins that is given, a git repository of the demo, and a daemon to deploy to.

JENKINS_URL, JENKINS_USER and JENKINS_TOKEN give the Jenkins and its administrator. It runs on this machine, has a node
with the label ``docker``, and takes repositories from local folders
(-Dhudson.plugins.git.GitSCM.ALLOW_LOCAL_CHECKOUT=true).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jenkins_proxy.seeding.items import JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from jenkins_proxy.seeding.needs import library as libraries
from jenkins_proxy.seeding.needs.library import Library
from tests.fixtures.daemon_process import serve
from tests.fixtures.shared import together

BOOKS = "/api/v1/books"
JOBS = ("deploy-to-swarm-without-proxy", "deploy-to-swarm-with-proxy", "scale-to-swarm-with-proxy")
REGISTERED = """
def found = org.jenkinsci.plugins.workflow.libs.GlobalLibraries.get().libraries.find { it.name == 'jenkins-proxy' }
if (found) { println found.defaultVersion + ' ' + found.retriever.scm.remote }
return
"""
FORGET = """
def all = org.jenkinsci.plugins.workflow.libs.GlobalLibraries.get()
synchronized (all) { all.libraries = all.libraries.findAll { it.name != 'jenkins-proxy' } }
return
"""


@pytest.fixture
def stays(tmp_path_factory):
    """``with stays():`` Jenkins is not restarted by another worker meanwhile. Who restarts it waits until all are
    outside."""
    return lambda: together(tmp_path_factory, "jenkins")


@pytest.fixture
def jenkins_stays(stays):
    """The same for a whole test."""
    with stays():
        yield


@dataclass(frozen=True)
class Ended:
    """How a command of ours ended: its text without the prefix, and its report."""

    code: int
    text: str
    report: dict

    @property
    def console(self) -> list[str]:
        """A followed build's console, without what Jenkins says of each step, and the service at each line of ours."""
        lines = [re.sub(r"^\[[\w.-]+\] ", "", line[2:]) for line in self.text.splitlines() if line.startswith("< ")]
        return [line for line in lines if not line.startswith("[Pipeline]")]


@pytest.fixture
def seed(stays, tmp_path: Path):
    """``seed("--build", job, "--follow")`` runs the command as a person does."""

    def run(*words: str) -> Ended:
        report = tmp_path / "seed.json"
        argv = [sys.executable, "-m", "jenkins_proxy", "seed", *words, "--report", str(report)]
        with stays():
            done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        return Ended(done.returncode, done.stderr.replace("[jenkins-proxy] ", ""), json.loads(report.read_text()))

    return run


@pytest.fixture
def server(jenkins, stays) -> JenkinsServer:
    made = JenkinsServer(jenkins.url, jenkins.user, jenkins.token)
    with stays():
        made.connect()
    return made


@pytest.fixture
def empty_jenkins(server: JenkinsServer, stays):
    """A Jenkins without the article's jobs and the library: both are gone again in the end."""
    with stays():
        there = {one.path for one in server.listing()}
        assert not there & set(JOBS), "this Jenkins has the article's jobs already: the test would write over them"
        before = server.run_script(REGISTERED)
        server.run_script(FORGET)
    yield server
    with stays():
        for job in JOBS:
            with contextlib.suppress(Refused):
                server.delete(JOB, job)
        server.run_script(FORGET)
        if before:
            version, remote = before.split()
            libraries.register(server, Library("jenkins-proxy", version, remote), dry_run=False)


def _git(folder: Path, *commands: list[str]) -> None:
    for words in commands:
        argv = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *words]
        subprocess.run(argv, check=True)


def _repository(folder: Path, branch: str) -> str:
    """Make the folder a repository with all that is in it; its address."""
    _git(folder, ["init", "-q", "-b", branch], ["add", "."], ["commit", "-q", "-m", "all"])
    return f"file://{folder}"


@pytest.fixture(scope="session")
def library(repository: Path, tmp_path_factory) -> str:
    """The address of a repository with this checkout's steps as they are, committed or not, on the branch main."""
    folder = tmp_path_factory.mktemp("library")
    for part in ("vars", "resources"):
        shutil.copytree(repository / part, folder / part)
    return _repository(folder, "main")


@pytest.fixture(scope="session")
def images(build_image, repository: Path) -> dict[str, str]:
    """The images of the demo, by the names that its compose files give them."""
    folders = [repository / "resources/demo" / name for name in ("books-ms-db", "books-ms")]
    return {folder.name: build_image((folder / "Dockerfile").read_text(), context=folder) for folder in folders}


@dataclass
class Machine:
    """Where the article's ``proxy``, ``consul`` and user entry are."""

    proxy: str
    consul: str
    entry: str

    def head(self, path: str = BOOKS) -> str:
        """The first line of what ``curl -I`` shows a user."""
        argv = ["curl", "--silent", "--head", f"http://{self.entry}{path}"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()

    def instances(self, requests: int, path: str = BOOKS) -> set[str]:
        """Which instances answered."""
        found = set()
        for _ in range(requests):
            with urllib.request.urlopen(f"http://{self.entry}{path}", timeout=10) as answer:
                found.add(json.loads(answer.read())["instance"])
        return found


@pytest.fixture
def machine(haproxy, docker, free_port, wait_for, tmp_path: Path):
    """One machine with registry, proxy and daemon, started by ``serve``; nothing is routed yet."""
    made = Machine(*(f"127.0.0.1:{free_port()}" for _ in range(3)))
    with serve(haproxy, tmp_path, wait_for, proxy=made.proxy, consul=made.consul, entry=made.entry):
        yield made


@dataclass(frozen=True)
class Demo:
    """The article's repository for one test.

    :ivar name: stands where the article has ``books-ms``: service, compose project, containers.
    :ivar git: the repository's address; its branch is ``master``, as the article's ``git`` step wants it.
    """

    name: str
    git: str
    docker: str

    def commit(self, changes: dict[str, Callable[[str], str]]) -> None:
        """A new commit, in which each of these files has become another text."""
        folder = Path(self.git[len("file://") :])
        for name, changed in changes.items():
            text = (folder / name).read_text()
            assert changed(text) != text
            (folder / name).write_text(changed(text))
        _git(folder, ["commit", "-q", "-a", "-m", "change"])

    def containers(self, service: str = "app") -> set[str]:
        argv = [
            self.docker,
            "ps",
            "-q",
            "--filter",
            f"label=com.docker.compose.project={self.name}",
            "--filter",
            f"label=com.docker.compose.service={service}",
        ]
        return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())

    def remove(self) -> None:
        for listing, remove in ((["ps", "-aq"], ["rm", "-fv"]), (["network", "ls", "-q"], ["network", "rm"])):
            argv = [self.docker, *listing, "--filter", f"label=com.docker.compose.project={self.name}"]
            found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
            if found:
                subprocess.run([self.docker, *remove, *found], capture_output=True, check=True)


@pytest.fixture
def demo(images: dict[str, str], docker, repository: Path, tmp_path: Path):
    name = f"je-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "demo"
    folder.mkdir()
    for file in ("docker-compose-demo.yml", "docker-compose-users.yml"):
        text = (repository / "resources/demo" / file).read_text()
        for one, built in images.items():
            text = text.replace(f"image: {one}\n", f"image: {built}\n")
        text = text.replace("users-ms", f"{name}-users").replace("books-ms", name)
        (folder / file).write_text(text)
    made = Demo(name, _repository(folder, "master"), docker)
    yield made
    made.remove()
    Demo(f"{name}-users", made.git, docker).remove()

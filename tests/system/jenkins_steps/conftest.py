"""A real Jenkins with this checkout as its library, and a machine with everything to deploy to."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import subprocess
import sys
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding.build import follow, start
from jenkins_proxy.seeding.items import FOLDER
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from tests.fixtures.daemon_process import serve
from tests.fixtures.http_server import Handler, serving
from tests.fixtures.shared import together
from tests.system.jenkins_steps.groovy import CREDENTIALS, FORGET, LIBRARIES
from tests.system.jenkins_steps.job import Job, Stays
from tests.system.jenkins_steps.service import DOCKERFILE, Service


@pytest.fixture
def restart_jenkins(jenkins, tmp_path_factory, wait_for):
    """``restart_jenkins()`` restarts it once no other worker's test uses it, and comes back when it is up."""
    server = JenkinsServer(jenkins.url, jenkins.user, jenkins.token)

    def started() -> str:
        """When its process began; empty while there is none that answers."""
        with contextlib.suppress(JenkinsServerError):
            server.connect()
            return server.run_script("println java.lang.management.ManagementFactory.runtimeMXBean.startTime")
        time.sleep(0.5)
        return ""

    def restart() -> None:
        with together(tmp_path_factory, "jenkins", alone=True):
            before = started()
            # Its answer sends us to a page that is not there while it restarts.
            with pytest.raises(Refused, match="503"):
                server.call("POST", "restart", doing="restart")
            wait_for(lambda: started() not in ("", before), "Jenkins to come back", seconds=200)

    return restart


@pytest.fixture(scope="session")
def stays(tmp_path_factory) -> Stays:
    """``with stays():`` Jenkins is not restarted by another worker meanwhile. For a build, not for a whole test: who
    restarts it waits until all are outside."""
    return lambda: together(tmp_path_factory, "jenkins")


@pytest.fixture(scope="session")
def secret() -> str:
    """The token of the proxy that is deployed to: what no console may show."""
    return uuid.uuid4().hex


@pytest.fixture(scope="session")
def server(jenkins, stays) -> JenkinsServer:
    made = JenkinsServer(jenkins.url, jenkins.user, jenkins.token)
    with stays():
        made.connect()
    return made


@pytest.fixture(scope="session")
def folder(server: JenkinsServer, secret: str, repository: Path, stays, tmp_path_factory):
    """The name of a folder whose jobs have this checkout as ``<name>-sandboxed`` and as ``<name>-trusted``."""
    name = f"j-{uuid.uuid4().hex[:8]}"
    library = tmp_path_factory.mktemp("library")
    for part in ("vars", "resources"):
        shutil.copytree(repository / part, library / part)
    for words in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@example.com commit -q -m library"):
        subprocess.run(["git", "-C", str(library), *words.split()], check=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("ca.pem", "cert.pem", "key.pem"):
            archive.writestr(part, f"the {part}")
    certificates = base64.b64encode(packed.getvalue()).decode()
    with stays():
        assert server.run_script(LIBRARIES.format(repository=library, name=name)) == ""
        assert server.run_script(CREDENTIALS.format(name=name, secret=secret, certificates=certificates)) == ""
    yield name
    with stays():
        server.delete(FOLDER, name)
        assert server.run_script(FORGET.format(name=name)) == ""


@dataclass(frozen=True)
class Told:
    """Whoever is notified. :ivar reports: paths, each with the report that came."""

    url: str
    reports: list[tuple[str, dict]]


@pytest.fixture
def told():
    class Answers(Handler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reports.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

    reports: list[tuple[str, dict]] = []
    with serving(Answers) as server:
        yield Told(server.url, reports)


@pytest.fixture(params=["sandboxed", "trusted"])
def any_job(server, folder, secret, wait_for, stays, request) -> Job:
    return Job(server, folder, request.param, secret, wait_for, stays)


@pytest.fixture
def restarted_job(jenkins, folder, secret, wait_for):
    """``restarted_job("trusted")`` is a job for a thread of its own, whose build Jenkins is restarted in."""

    def make(library: str) -> Job:
        server = JenkinsServer(jenkins.url, jenkins.user, jenkins.token)
        server.connect()
        return Job(server, folder, library, secret, wait_for, contextlib.nullcontext)

    return make


@pytest.fixture
def job(server, folder, secret, wait_for, stays) -> Job:
    return Job(server, folder, "sandboxed", secret, wait_for, stays)


@pytest.fixture
def seeded(server, tmp_path):
    """``seeded(text, job)`` seeds a file and builds a job of it: the console's lines."""

    def run(text: str, job: str) -> list[str]:
        (tmp_path / "jobs.yaml").write_text(text)
        argv = [sys.executable, "-m", "jenkins_proxy", "seed", str(tmp_path / "jobs.yaml")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        lines: list[str] = []
        ended = follow(server, start(server, job, {}), lines.append, lambda text: None)
        assert ended.result == "SUCCESS", "\n".join(lines)
        return lines

    return run


@pytest.fixture(scope="session")
def machine(haproxy, docker, secret, free_port, wait_for, tmp_path_factory):
    """One machine with everything: the environment that a pipeline needs to deploy to it."""
    state = tmp_path_factory.mktemp("serve")
    proxy, consul, entry = (f"127.0.0.1:{free_port()}" for _ in range(3))
    where = {"proxy": proxy, "consul": consul, "entry": entry}
    with serve(haproxy, state, wait_for, **where, JENKINS_PROXY_TOKEN=secret):
        yield {name: f"http://{address}" for name, address in where.items()}


@pytest.fixture(scope="session")
def image(build_image) -> str:
    return build_image(DOCKERFILE)


@pytest.fixture
def services(machine, image, docker, folder, tmp_path):
    """``services()`` is one more service."""
    made: list[Service] = []

    def make(name: str = "") -> Service:
        made.append(Service(name or f"j-{uuid.uuid4().hex[:8]}", machine, image, docker, tmp_path, folder))
        return made[-1]

    yield make
    for service in made:
        service.remove()

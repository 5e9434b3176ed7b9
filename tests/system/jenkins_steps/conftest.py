"""A real Jenkins with this checkout as its library, and a machine with everything to deploy to."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import requests

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding.build import follow, start
from jenkins_proxy.seeding.items import FOLDER, JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused, item_path
from tests.fixtures.shared import together

# What Jenkins says when a step does what it should not.
COMPLAINTS = (
    "Scripts not permitted",
    "Groovy String interpolation",
    "expected to call",
    "NotSerializableException",
    "Configuration error",
)
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
CREDENTIALS = """
import com.cloudbees.plugins.credentials.*
import com.cloudbees.plugins.credentials.domains.Domain
import com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl
import org.jenkinsci.plugins.plaincredentials.impl.*
def store = SystemCredentialsProvider.instance.store
def zip = SecretBytes.fromBytes('{certificates}'.decodeBase64())
def tls = new FileCredentialsImpl(CredentialsScope.GLOBAL, '{name}-tls', '', 'tls.zip', zip)
if (Jenkins.get().pluginManager.getPlugin('docker-commons')) {{
    def kind = 'org.jenkinsci.plugins.docker.commons.credentials.DockerServerCredentials'
    tls = Jenkins.get().pluginManager.uberClassLoader.loadClass(kind).newInstance(CredentialsScope.GLOBAL,
        '{name}-tls', '', hudson.util.Secret.fromString('the key.pem'), 'the cert.pem', 'the ca.pem')
}}
[new StringCredentialsImpl(CredentialsScope.GLOBAL, '{name}', '', hudson.util.Secret.fromString('{secret}')),
 new UsernamePasswordCredentialsImpl(CredentialsScope.GLOBAL, '{name}-login', '', 'deployer', '{secret}-login'),
 tls,
].each {{ store.addCredentials(Domain.global(), it) }}
null
"""
FORGET = """
import com.cloudbees.plugins.credentials.SystemCredentialsProvider
import com.cloudbees.plugins.credentials.domains.Domain
def store = SystemCredentialsProvider.instance.store
def ours = store.getCredentials(Domain.global()).findAll {{ it.id.startsWith('{name}') }}
ours.each {{ store.removeCredentials(Domain.global(), it) }}
def all = org.jenkinsci.plugins.workflow.libs.GlobalLibraries.get()
synchronized (all) {{ all.libraries = all.libraries.findAll {{ it.name != '{name}-trusted' }} }}
null
"""
LIBRARIES = """
import com.cloudbees.hudson.plugins.folder.Folder
import jenkins.plugins.git.GitSCMSource
import org.jenkinsci.plugins.workflow.libs.*
def source = new SCMSourceRetriever(new GitSCMSource('file://{repository}'))
def library = {{ name ->
    def made = new LibraryConfiguration(name, source)
    made.defaultVersion = 'main'
    // It does not change meanwhile: without a cache, each build fetches it anew.
    if (made.hasProperty('cachingConfiguration')) {{
        made.cachingConfiguration = new LibraryCachingConfiguration(60, '')
    }}
    made
}}
def all = GlobalLibraries.get()
// Other workers change them at the same moment.
synchronized (all) {{ all.libraries = all.libraries + library('{name}-trusted') }}
def folder = Jenkins.get().createProject(Folder, '{name}')
folder.properties.replace(new FolderLibraries([library('{name}-sandboxed')]))
folder.save()
"""


# Looks at a build that often: most take no longer than a few seconds.
POLL = 0.15


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


Stays = Callable[[], contextlib.AbstractContextManager[None]]


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
class Page:
    """A summary."""

    name: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A build that has ended.

    :ivar lines: its console without Jenkins' own notes.
    """

    server: JenkinsServer
    path: str
    result: str
    lines: list[str]
    stays: Stays

    def _get(self, path: str) -> requests.Response:
        with self.stays():
            return self.server.call("GET", f"{self.path}/{path}", doing="read a build in")

    @property
    def about(self) -> dict:
        return self.server.json(self._get("api/json"))

    def artifact(self, name: str) -> dict:
        """:param name: of a report, or its path."""
        return self.server.json(self._get("artifact/" + name.rpartition("/")[2]))

    @property
    def reports(self) -> list[dict]:
        """The reports that are kept with the build."""
        names = [one["relativePath"] for one in self.about["artifacts"]]
        return [self.artifact(name) for name in names if name.endswith(".json")]

    @property
    def pages(self) -> list[Page]:
        """The summaries that are kept with the build."""
        names = [one["relativePath"] for one in self.about["artifacts"]]
        return [Page(name, self._get(f"artifact/{name}").text) for name in names if name.endswith(".html")]

    @property
    def error(self) -> str:
        return next(line for line in reversed(self.lines) if line.startswith("ERROR: "))

    def value(self, mark: str) -> str:
        (line,) = [line for line in self.lines if line.startswith(mark + " ")]
        return line[len(mark) + 1 :]


class Job:
    """A pipeline of its own for each test.

    :ivar library: whose steps it runs; ``sandboxed`` or ``trusted``. Every job's own script is sandboxed.
    :ivar stays: what keeps Jenkins from being restarted while a build runs.
    """

    def __init__(self, server: JenkinsServer, folder: str, library: str, secret: str, wait_for, stays: Stays) -> None:
        self._secret, self._wait_for, self._stays = secret, wait_for, stays
        self._server, self._path = server, f"{folder}/{uuid.uuid4().hex[:8]}"
        self._library = f"{folder}-{library}"

    def build(self, script: str, on_line=lambda line: None) -> Ended:
        """Run a pipeline to its end; ``on_line`` sees each line of its console when it comes."""
        with self._stays():
            return self._build(script, on_line)

    def _build(self, script: str, on_line) -> Ended:
        text = f"@Library('{self._library}') _\n{script}"
        xml = (
            "<flow-definition><definition class='org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition'>"
            f"<script>{escape(text)}</script><sandbox>true</sandbox></definition></flow-definition>"
        )
        try:
            self._server.create(JOB, self._path, xml)
        except Refused:
            self._server.update(JOB, self._path, xml)
        lines: list[str] = []

        def show(line: str) -> None:
            line = re.sub(r"\x1b\[8m.*?\x1b\[0m", "", line)
            lines.append(line)
            on_line(line)

        queued = start(self._server, self._path, {})
        done = follow(
            self._server,
            queued,
            show,
            lambda text: None,
            sleep=lambda seconds: time.sleep(POLL if seconds < 1 else seconds),
        )
        text = "\n".join(lines)
        assert not [complaint for complaint in COMPLAINTS if complaint in text], text
        assert self._secret not in text
        return Ended(
            self._server,
            f"{item_path(JOB, self._path)}/{done.number}",
            done.result,
            [line for line in lines if not line.startswith("[Pipeline]")],
            self._stays,
        )

    def stop(self) -> None:
        self._server.call("POST", f"{item_path(JOB, self._path)}/lastBuild/stop", doing="stop a build in")

    def proceed(self, question: str) -> None:
        """Answer an ``input`` of the running build, which may be a moment away when Jenkins has just started."""
        answer = f"{item_path(JOB, self._path)}/lastBuild/input/{question}/proceedEmpty"

        def answered() -> bool:
            with contextlib.suppress(Refused):
                self._server.call("POST", answer, doing="answer a build in")
                return True
            return False

        self._wait_for(answered, "the build to ask")


@dataclass(frozen=True)
class Told:
    """Whoever is notified. :ivar reports: paths, each with the report that came."""

    url: str
    reports: list[tuple[str, dict]]


@pytest.fixture
def told():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reports.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    reports: list[tuple[str, dict]] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Told(f"http://127.0.0.1:{server.server_port}", reports)
    server.shutdown()
    server.server_close()


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
    argv = [
        sys.executable,
        "-m",
        "jenkins_proxy",
        "serve",
        "--listen",
        proxy,
        "--registry-listen",
        consul,
        "--bind",
        entry,
        "--state-dir",
        str(state / "state"),
        "--stop-haproxy",
    ]
    environment = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{os.path.dirname(haproxy)}",
        "JENKINS_PROXY_TOKEN": secret,
    }
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)

    def ready() -> bool:
        assert process.poll() is None, (state / "log").read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{proxy}/healthz", timeout=5) as answer:
            return answer.status == 200
        return False

    try:
        wait_for(ready, "serve to be ready")
        yield {"proxy": f"http://{proxy}", "consul": f"http://{consul}", "entry": f"http://{entry}"}
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def image(build_image) -> str:
    return build_image(DOCKERFILE)


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

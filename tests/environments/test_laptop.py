"""The compose file that brings up all of it on a laptop, and the image that it is made of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from jenkins_proxy import __version__
from jenkins_proxy.seeding.load import load
from tests.docs import sources, steps

SECRETS = {"JENKINS_PROXY_TOKEN": "token-of-the-test", "JENKINS_PASSWORD": "password-of-the-test"}


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "resources/environments/compose"


def config(docker: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [docker, "compose", "-f", str(folder / "docker-compose.yml"), "config", "--format", "json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_takes_it_and_ours_are_commands_of_ours(docker: str, folder: Path, repository: Path) -> None:
    done = config(docker, folder, **SECRETS)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services.keys() == {"consul", "agent", "proxy", "jenkins", "seed"}
    for name in ("agent", "proxy", "seed"):
        command = services[name]["command"]
        sources.top_parser(command[0]).parse_args(command)
        assert services[name]["image"] == f"jenkins-proxy:{__version__}"
    for name in ("agent", "proxy", "seed", "jenkins"):
        context, file = (Path(services[name]["build"][key]) for key in ("context", "dockerfile"))
        assert context == repository / "dist"
        assert (context / file).resolve().is_file()
    # What changes where users are led is reached from this machine alone.
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["target"] for port in ports if port.get("host_ip") != "127.0.0.1"} == {80}
    assert services["proxy"]["environment"]["JENKINS_PROXY_TOKEN"] == SECRETS["JENKINS_PROXY_TOKEN"]


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(docker: str, folder: Path, missing: str) -> None:
    done = config(docker, folder, **{name: value for name, value in SECRETS.items() if name != missing})
    assert done.returncode != 0 and missing in done.stderr


def test_every_image_of_others_can_be_another(docker: str, folder: Path) -> None:
    """Each name stands in a variable, so that it runs without a registry: on images that are there."""
    images = {"CONSUL_IMAGE": "mine/consul", "JENKINS_PROXY_BASE": "mine/debian", "JENKINS_BASE": "mine/jenkins"}
    services = json.loads(config(docker, folder, **SECRETS, **images).stdout)["services"]
    assert services["consul"]["image"] == "mine/consul"
    bases = {name: service["build"]["args"]["BASE"] for name, service in services.items() if "build" in service}
    assert bases == {"agent": "mine/debian", "proxy": "mine/debian", "seed": "mine/debian", "jenkins": "mine/jenkins"}
    for name in bases:
        build = services[name]["build"]
        file = (Path(build["context"]) / build["dockerfile"]).resolve()
        stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", file.read_text(encoding="utf-8"), re.M)
        assert {image for image, _ in stages} - {stage for _, stage in stages} == {"${BASE}"}


def test_jenkins_job_calls_the_step_as_it_is(folder: Path) -> None:
    (job,) = load(folder / "jenkins/jobs.yaml", variables={}).jobs
    assert isinstance(job.source, str)
    (call,) = steps.calls(job.source)
    assert (call.step, steps.problems(call)) == ("deployWithProxy", [])
    data = yaml.safe_load((folder / "jenkins/casc.yaml").read_text(encoding="utf-8"))
    ids = {c["string"]["id"] for d in data["credentials"]["system"]["domainCredentials"] for c in d["credentials"]}
    assert set(re.findall(r"CredentialsId: '(.*?)'", job.source)) == ids


def test_the_image_is_unprivileged_and_starts_serve(repository: Path) -> None:
    text = (repository / "resources/environments/image/Dockerfile").read_text(encoding="utf-8")
    last = text.replace("\\\n", " ").rpartition("\nFROM ")[2]
    lines = dict(line.split(" ", 1) for line in last.splitlines()[1:] if re.match(r"[A-Z]+ ", line))
    assert int(lines["USER"].partition(":")[0]) > 0
    command = json.loads(lines["ENTRYPOINT"])[1:] + json.loads(lines["CMD"])
    arguments = sources.top_parser(command[0]).parse_args(command)
    assert arguments.stop_haproxy, "nothing could take over a HAProxy whose container is gone"
    assert arguments.state_dir == lines["VOLUME"]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_image_is_healthy_while_the_daemon_says_so_wherever_it_listens(
    repository: Path, status: int, healthy: bool, end: str
) -> None:
    text = (repository / "resources/environments/image/Dockerfile").read_text(encoding="utf-8")
    (probe,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.M)
    program, *words = json.loads(probe)

    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Daemon)
    threading.Thread(target=server.handle_request).start()
    url = f"http://127.0.0.1:{server.server_port}{end}"
    done = subprocess.run(
        [sys.executable, *words], env={**os.environ, "JENKINS_PROXY_URL": url}, capture_output=True, check=False
    )
    server.server_close()
    assert (program, done.returncode == 0) == ("python3", healthy)

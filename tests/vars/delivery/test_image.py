"""The way for agents without a Python: a container, from an image made of this machine's Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import uuid
from pathlib import Path

import pytest

from jenkins_proxy import __version__


@pytest.fixture(scope="session")
def image(docker: str, filled: Path, tmp_path_factory):
    """This machine's Python with jenkins-proxy as the delivered venv has it, as an image: nothing to download."""
    python = Path(sys._base_executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    objects = [python, *(stdlib / "lib-dynload").glob("*.so")]
    linked = subprocess.run(["ldd", *map(str, objects)], check=True, capture_output=True, text=True).stdout
    libraries = set(re.findall(r"(/\S+) \(0x", linked))
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    (packages,) = (filled / __version__ / "lib").glob("python*/site-packages")
    with tarfile.open(archive, "w") as tar:
        for path in (python, *libraries):
            tar.add(Path(path).resolve(), path)
        left_out = re.compile(r"/(test|__pycache__|config-\S+|\w+-packages|idlelib)$")
        for folder, place in ((stdlib, stdlib), (packages, "/opt/packages")):
            tar.add(folder, place, filter=lambda one: None if left_out.search(one.name) else one)
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(python)
        tar.addfile(link)
    name = f"j-{uuid.uuid4().hex[:8]}"
    subprocess.run(
        [docker, "import", "--change", "ENV PYTHONPATH=/opt/packages PATH=/usr/bin", str(archive), name],
        check=True,
        capture_output=True,
    )
    yield name
    subprocess.run([docker, "rmi", "-f", name], check=True, capture_output=True)


def test_an_image(agent, image: str, docker: str, tmp_path: Path):
    agent.python("exit 1")
    (agent.programs / "docker").symlink_to(docker)
    done = agent.run(JENKINS_PROXY_IMAGE=image)
    assert done.ran
    assert done.console[0] == f"[jenkins-proxy] * jenkins-proxy {__version__}: image {image}"


def test_what_a_container_gets(agent, image: str, docker: str, tmp_path: Path):
    """The workspace, the engine's socket, every variable by name, and not what is the agent's own."""
    agent.python("exit 1")
    seen = tmp_path / "argv"
    agent.program(
        "docker",
        f"""
case "$*" in *--version) exec "{docker}" "$@" ;; esac
printf '%s\\n' "$@" >"{seen}"
exec "{docker}" "$@\"""",
    )
    values = {"service": "books-ms", "report": "report.json", "proxy": "http://127.0.0.1:9"}
    done = agent.run(
        JENKINS_PROXY_IMAGE=image,
        JENKINS_PROXY_PARAMS=json.dumps(values),
        JENKINS_PROXY_TOKEN="s3cret",
        VERSION="1 2\n3",
        WORKSPACE=str(agent.workspace),
        DOCKER_HOST="tcp://127.0.0.1:9",
        DOCKER_TLS_VERIFY="1",
        DOCKER_CERT_PATH=str(tmp_path / "certs"),
        JENKINS_SERVER_COOKIE="mark",
        PYTHONPATH="/agent",
    )
    assert done.stdout.startswith("exit=4\n"), done
    # The report of the failed command is in the workspace, and the agent's own.
    report = agent.workspace / "report.json"
    assert json.loads(report.read_text())["error"]["code"] == 4
    assert report.stat().st_uid == os.getuid()
    argv = seen.read_text().splitlines()
    passed = {argv[at + 1] for at, word in enumerate(argv) if word == "--env"}
    assert {
        "JENKINS_PROXY_PARAMS",
        "JENKINS_PROXY_TOKEN",
        "JENKINS_PROXY_STEP",
        "VERSION",
        "DOCKER_HOST",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY=1",
        "HOME=/tmp",
    } <= passed
    assert not {"PATH", "JENKINS_SERVER_COOKIE", "PYTHONPATH", "PWD"} & passed
    assert "s3cret" not in seen.read_text()
    mounted = [argv[at + 1] for at, word in enumerate(argv) if word == "--volume"]
    assert mounted == ["/var/run/docker.sock:/var/run/docker.sock", f"{agent.workspace}:{agent.workspace}"]
    assert argv[:2] == ["--host", "unix:///var/run/docker.sock"]


def test_an_image_without_jenkins_proxy(agent, image: str, docker: str):
    agent.python("exit 1")
    (agent.programs / "docker").symlink_to(docker)
    done = agent.run(JENKINS_PROXY_IMAGE=image, JENKINS_PROXY_VERSION="9.9.9")
    assert (
        f"reason=image {image} has jenkins-proxy {__version__}, and this library is 9.9.9: load "
        f"@Library('jenkins-proxy@{__version__}'), or give it jenkins-proxy 9.9.9; " in done.stdout
    )


def test_no_such_image(agent, docker: str):
    agent.python("exit 1")
    (agent.programs / "docker").symlink_to(docker)
    done = agent.run(JENKINS_PROXY_IMAGE="-v")
    assert done.refused == "image -v answers nothing to python3 -m jenkins_proxy --version"


def test_an_image_and_no_docker(agent):
    agent.python("exit 1")
    (agent.programs / "tr").symlink_to(shutil.which("tr"))
    agent.path = str(agent.programs)
    assert agent.run("/bin/dash", JENKINS_PROXY_IMAGE="tools:1").refused == (
        "image tools:1 is asked for, and there is no docker program"
    )

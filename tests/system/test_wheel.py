"""The wheel, installed in a fresh virtual environment away from the checkout: it carries what it renders, it serves
and it deploys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def installed(wheels: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and its extra ``serve``, and nothing of the tests."""
    folder = tmp_path_factory.mktemp("venv")
    # With the pip of the tests: one of its own takes longer than all that it would install.
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    argv = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*argv, "--no-index", "--find-links", str(wheels), f"{wheel}[serve]"], check=True)
    return python


def test_carries_every_resource(wheel: Path, repository: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    resources = repository / "resources"
    expected = {
        "jenkins_proxy/_resources/" + str(path.relative_to(resources)).replace("jenkins_proxy/", "", 1)
        for root in ("jenkins_proxy", "demo")
        for path in (resources / root).rglob("*")
        if path.is_file()
    }
    assert expected <= names
    assert any(name.endswith("haproxy.cfg.j2") for name in expected)


def test_carries_every_file_of_the_package(wheel: Path, repository: Path):
    files = {path.relative_to(repository) for path in (repository / "jenkins_proxy").rglob("*") if path.is_file()}
    expected = {str(file) for file in files if "__pycache__" not in file.parts}
    assert expected <= set(zipfile.ZipFile(wheel).namelist())
    assert "jenkins_proxy/orchestrator/none.env" in expected


def test_carries_no_tests_and_no_jenkins_library(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"jenkins_proxy", next(name for name in tops if name.endswith(".dist-info"))}


def test_plays_the_article(installed: Path, docker: str, haproxy: str, tmp_path: Path):
    done = _demo(installed, tmp_path)
    out, _ = done.communicate(timeout=240)
    assert done.returncode == 0, out
    for line in (
        "503: the service runs, but the proxy has no route to it",
        "200: users reach it",
        "3 instance(s) answered in turn",
        "1 instance(s) answered in turn",
        "and so does the first",
    ):
        assert line in out
    assert _left(docker) == []


def test_cleans_up_when_interrupted(installed: Path, docker: str, haproxy: str, tmp_path: Path):
    done = _demo(installed, tmp_path)
    seen = []
    for line in done.stdout:
        seen.append(line)
        if "=== 2." in line:
            done.send_signal(signal.SIGINT)
            break
    rest, _ = done.communicate(timeout=120)
    assert done.returncode == 143, "".join(seen) + rest
    assert "stopped by SIGINT" in rest
    assert _left(docker) == []


def _demo(python: Path, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [str(python), "-u", "-m", "jenkins_proxy", "demo"],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HOME": str(cwd)},
    )


def _left(docker: str) -> list[str]:
    """What the demo should have taken down: its containers and networks."""
    found = []
    for project in ("books-ms", "users-ms"):
        for listing in (["ps", "-aq"], ["network", "ls", "-q"]):
            argv = [docker, *listing, "--filter", f"label=com.docker.compose.project={project}"]
            found += subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return found

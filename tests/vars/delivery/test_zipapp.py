"""jenkins-proxy as one file: how it is built, what it needs, and how the step takes it."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jenkins_proxy import __version__
from tests.fixtures.http_server import serving
from tests.fixtures.shared import once

LOGIN = {"JENKINS_URL": "http://127.0.0.1:1", "JENKINS_USER": "me", "JENKINS_TOKEN": "11"}


@pytest.fixture(scope="session")
def zipapp(repository: Path, wheels: Path, tmp_path_factory) -> Path:
    """This checkout as one file, built as a release builds it, and without a network."""

    def make(folder: Path) -> None:
        argv = [sys.executable, str(repository / "resources/release/build_zipapp.py"), str(folder / "built.pyz")]
        argv += ["--no-index", "--find-links", str(wheels), f"jenkins-proxy=={__version__}"]
        subprocess.run(argv, check=True, capture_output=True)

    return once(tmp_path_factory, "zipapp", make) / "built.pyz"


def run(zipapp: Path, *words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """On a machine of Python alone."""
    return subprocess.run(
        [sys._base_executable, "-I", "-S", str(zipapp), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOME": str(folder), **environment},
    )


def test_runs_with_nothing_but_python_and_leaves_nothing(zipapp: Path, tmp_path: Path) -> None:
    done = run(zipapp, "--version", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")
    # By HTTP, and with its templates, which have to be real files.
    done = run(zipapp, "status", "--consul", "http://127.0.0.1:1", folder=tmp_path)
    assert done.returncode == 4 and "no registry answers at http://127.0.0.1:1" in done.stderr
    done = run(zipapp, "seed", "--dry-run", folder=tmp_path, **LOGIN)
    assert "127.0.0.1:1" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_a_program_reads_is_a_file(zipapp: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from jenkins_proxy import resources as r\n"
        "print(r.file_of_package('orchestrator/none.env').is_file(), r.resource('seeding/job.xml.j2').is_file())"
    )
    done = subprocess.run(
        [sys._base_executable, "-I", "-S", "-c", script, str(zipapp)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True\n"


def test_what_needs_more_says_so(zipapp: Path, tmp_path: Path) -> None:
    done = run(zipapp, "serve", folder=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "[jenkins-proxy] ERROR: serve needs aiohttp, which is not installed",
    )


def test_holds_no_compiled_file_and_all_licences(zipapp: Path) -> None:
    names = zipfile.ZipFile(zipapp).namelist()
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert {name.split("-")[0] for name in names if ".dist-info/" in name and "LICEN" in name.upper()} >= {
        "requests", "urllib3", "certifi", "idna", "jinja2", "markupsafe", "pyyaml", "jenkins_proxy",
    }  # fmt: skip
    assert names[0] == "__main__.py"
    assert {info.date_time[0] for info in zipfile.ZipFile(zipapp).infolist()} == {1980}


def small(path: Path, version: str = __version__) -> str:
    """A file that answers as ours does; gives its checksum."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "__main__.py", f"import sys\nprint('{version}' if sys.argv[1:] == ['--version'] else 'exit=0')\n"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path: Path):
    """``served()`` is the URL of a folder, and the names that were asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    with serving(Handler) as server:
        yield server.url, asked


def test_the_step_takes_the_real_one(agent, zipapp: Path) -> None:
    done = agent.run(JENKINS_PROXY_PIP_SPEC=str(zipapp))
    assert done.ran
    assert done.console[0] == f"[jenkins-proxy] * jenkins-proxy {__version__}: {zipapp}"
    assert not agent.cache.exists()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_file_of_the_workspace_with_its_checksum(agent, shell: str) -> None:
    checksum = small(agent.workspace / "jp.pyz")
    assert agent.run(shell, JENKINS_PROXY_PIP_SPEC=f"jp.pyz#sha256={checksum.upper()}").stdout == "exit=0\n"


def test_what_comes_by_the_network_is_fetched_once(agent, served, tmp_path: Path) -> None:
    url, asked = served
    checksum = small(tmp_path / "jp.pyz")
    for _ in range(2):
        assert agent.run(JENKINS_PROXY_PIP_SPEC=f"{url}/jp.pyz#sha256={checksum}").stdout == "exit=0\n"
    assert asked == ["/jp.pyz"]
    (kept,) = agent.cache.iterdir()
    # Whatever has become of it meanwhile is fetched again.
    kept.write_bytes(b"half")
    assert agent.run(JENKINS_PROXY_PIP_SPEC=f"{url}/jp.pyz#sha256={checksum}").stdout == "exit=0\n"
    assert len(asked) == 2 and [path.name for path in agent.cache.iterdir()] == [kept.name]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("{url}/jp.pyz", "{url}/jp.pyz comes by the network: append #sha256= and its checksum to pipSpec"),
        ("{url}/jp.pyz#sha256=", "{url}/jp.pyz#sha256=: there is no checksum behind #sha256="),
        ("{url}/jp.pyz#sha256=../../x", "{url}/jp.pyz#sha256=../../x: behind the file only #sha256= and a checksum "
         "in hex may follow"),
        ("jp.pyz#md5=00", "jp.pyz#md5=00: behind the file only #sha256= and a checksum in hex may follow"),
        ("{url}/jp.pyz#sha256=00", "{url}/jp.pyz: its checksum is {checksum}"),
        ("{file}#sha256=00", "{file}: its checksum is {checksum}"),
        ("{url}/none.pyz#sha256=00", "{url}/none.pyz: HTTP Error 404: File not found"),
        ("none.pyz", "none.pyz: [Errno 2] No such file or directory: '{workspace}/none.pyz'"),
        ("{other}", "{other} has jenkins-proxy 9.9.9, and this library is {version}: load "
         "@Library('jenkins-proxy@9.9.9'), or give it jenkins-proxy {version}"),
    ],
)  # fmt: skip
def test_what_cannot_be_trusted_or_had_is_refused(agent, served, tmp_path: Path, spec: str, reason: str) -> None:
    words = {
        "url": served[0],
        "file": tmp_path / "jp.pyz",
        "checksum": small(tmp_path / "jp.pyz"),
        "other": tmp_path / "other.pyz",
        "workspace": agent.workspace,
        "version": __version__,
    }
    small(tmp_path / "other.pyz", "9.9.9")
    assert agent.run(JENKINS_PROXY_PIP_SPEC=spec.format(**words)).refused == reason.format(**words)
    assert not agent.cache.exists() or not list(agent.cache.iterdir())

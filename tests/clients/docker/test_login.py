"""The login for one command, with the real Docker CLI and engine against a registry that asks for a password."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from jenkins_proxy.clients.docker import login
from jenkins_proxy.clients.docker.login import logged_in
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DockerError, UsageError
from tests.fixtures.http_server import Handler, serving

PASSWORD = "s3cret word"


class _Registry(Handler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"deployer:{PASSWORD}".encode()).decode()
        good = self.headers.get("Authorization") == wanted
        self.send_response(200 if good else 401)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if not good:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def registry():
    with serving(_Registry) as server:
        yield server.address


@pytest.fixture
def environ(docker: str, registry: str, tmp_path: Path) -> dict[str, str]:
    usual = tmp_path / "usual"
    (usual / "cli-plugins").mkdir(parents=True)
    (usual / "cli-plugins" / "docker-compose").touch()
    (usual / "config.json").write_text(json.dumps({"credsStore": "nowhere", "HttpHeaders": {"X-Kept": "1"}}))
    return {
        **os.environ,
        "DOCKER_CONFIG": str(usual),
        "JENKINS_PROXY_IMAGE_REGISTRY": registry,
        "JENKINS_PROXY_IMAGE_REGISTRY_USER": "deployer",
        "JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD": PASSWORD,
    }


def test_logged_in_for_the_block_only(environ: dict[str, str], registry: str, capsys):
    usual = environ["DOCKER_CONFIG"]
    with logged_in(environ, Console()):
        folder = Path(environ["DOCKER_CONFIG"])
        config = json.loads((folder / "config.json").read_text())
        assert list(config["auths"]) == [registry]
        # What else the agent's configuration gives is still there.
        assert config["HttpHeaders"] == {"X-Kept": "1"}
        assert (folder / "cli-plugins" / "docker-compose").exists()
        assert folder.stat().st_mode & 0o077 == 0
        assert not {"JENKINS_PROXY_IMAGE_REGISTRY_USER", "JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD"} & set(environ)
    assert not folder.exists()
    assert environ["DOCKER_CONFIG"] == usual
    assert "auths" not in json.loads((Path(usual) / "config.json").read_text())
    assert capsys.readouterr().err == f"[jenkins-proxy] * logged in to {registry} for this command\n"


def test_the_old_names_of_the_variables_still_work(environ: dict[str, str], registry: str, capsys):
    names = [name for name in environ if name.startswith("JENKINS_PROXY_IMAGE_REGISTRY")]
    for name in names:
        environ[name.replace("_IMAGE", "")] = environ.pop(name)
    with logged_in(environ, Console()):
        assert list(json.loads((Path(environ["DOCKER_CONFIG"]) / "config.json").read_text())["auths"]) == [registry]
        assert not [name for name in environ if "REGISTRY" in name]
    told = capsys.readouterr().err
    assert len(names) == 3
    for name in names:
        assert f"WARNING: {name.replace('_IMAGE', '')} is deprecated: use {name}\n" in told


def test_without_a_home_there_is_no_configuration_to_keep(environ: dict[str, str], registry: str, homeless):
    del environ["DOCKER_CONFIG"], environ["HOME"]
    with logged_in(environ, Console()):
        assert list(json.loads((Path(environ["DOCKER_CONFIG"]) / "config.json").read_text())["auths"]) == [registry]
    assert "DOCKER_CONFIG" not in environ


def test_a_wrong_password(environ: dict[str, str], registry: str, capsys):
    environ["JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD"] = "wrong-word"
    with pytest.raises(DockerError) as raised, logged_in(environ, Console()):
        pytest.fail("the block ran")
    assert raised.value.message.startswith(f"login to {registry} failed: ")
    assert "wrong-word" not in raised.value.message + capsys.readouterr().err


def test_a_login_that_does_not_end(environ: dict[str, str], registry: str, tmp_path: Path, monkeypatch, program):
    (tmp_path / "docker").write_text(f"#!/bin/sh\nexec {program('sleep')} 1000\n")
    (tmp_path / "docker").chmod(0o755)
    environ["PATH"] = str(tmp_path)
    monkeypatch.setattr(login, "_SECONDS", 0.2)
    failed = pytest.raises(DockerError, match=f"^login to {registry} failed: no answer within 0.2 s$")
    with failed, logged_in(environ, Console()):
        pytest.fail("the block ran")


def test_without_a_user_nothing_happens(tmp_path: Path):
    environ = {"PATH": "/nowhere", "JENKINS_PROXY_IMAGE_REGISTRY": "", "HOME": str(tmp_path)}
    with logged_in(environ, Console()):
        assert environ == {"PATH": "/nowhere", "HOME": str(tmp_path)}


def test_without_docker(environ: dict[str, str]):
    environ["PATH"] = "/nowhere"
    with pytest.raises(UsageError, match="no docker program"), logged_in(environ, Console()):
        pytest.fail("the block ran")


def test_a_host_that_is_an_option(environ: dict[str, str]):
    environ["JENKINS_PROXY_IMAGE_REGISTRY"] = "--help"
    with pytest.raises(UsageError, match="'--help' is not a host name"), logged_in(environ, Console()):
        pytest.fail("the block ran")


def test_a_broken_configuration_is_dockers_business(environ: dict[str, str], registry: str):
    (Path(environ["DOCKER_CONFIG"]) / "config.json").write_text("{")
    with logged_in(environ, Console()):
        assert registry in (Path(environ["DOCKER_CONFIG"]) / "config.json").read_text()

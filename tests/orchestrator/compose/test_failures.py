"""What is said when compose or the engine fails."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import DeployFailed, DockerError, UsageError
from jenkins_proxy.retry import Deadline
from tests.orchestrator.compose.books import BOOKS, with_v2


def test_pull_that_fails_says_what_to_do(compose, deadline):
    with pytest.raises(DeployFailed, match="pull of project .* failed: ") as caught:
        compose(BOOKS.replace("{1}", "127.0.0.1:9/f1-nope:1", 1)).pull(["app"], deadline=deadline)
    assert "127.0.0.1:9" in caught.value.message
    assert "build the image" in caught.value.hint


def test_an_image_that_is_not_there(compose, deadline):
    with pytest.raises(DeployFailed, match="image 127.0.0.1:9/f1-nope:1 is not on the engine") as caught:
        compose(BOOKS.replace("{1}", "127.0.0.1:9/f1-nope:1", 1)).up(deadline=deadline)
    assert "build the image" in caught.value.hint


def test_a_host_port_that_is_taken(compose, deadline):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeployFailed, match=rf"up of project .* failed: .*{port}.*address already in use") as caught:
            compose(BOOKS.replace('"8080"', f'"{port}:8080"')).up(deadline=deadline)
    assert "publish a dynamic one" in caught.value.hint


@with_v2
def test_time_runs_out(compose):
    books = compose(BOOKS)
    with pytest.raises(DeployFailed, match=r"up of project .* did not end in time \(\d s of 0.05 s\)"):
        books.up(deadline=Deadline(0.05))


def test_the_engine_goes_away(compose, deadline, tmp_path, monkeypatch):
    books = compose(BOOKS)
    gone = f"unix://{tmp_path}/gone.sock"
    environment = {**books._runner.environment, "DOCKER_HOST": gone}
    monkeypatch.setattr(books, "_runner", dataclasses.replace(books._runner, environment=environment))
    monkeypatch.setattr(books, "_engine", Engine(Endpoint(gone, "test")))
    with pytest.raises(DockerError, match="no Docker Engine answers at unix://.*/gone.sock: no such file"):
        books.up(deadline=deadline)


@pytest.mark.parametrize(
    "text, message",
    [
        ("services:\n  app:\n    imag: x\n", r"compose file .*docker-compose.yml: .*app.* '?imag'?"),
        ("services:\n  app: {image: x\n  b: [", r"compose file .*docker-compose.yml: yaml"),
        ("version: '2'\nservices: {}\n", "service"),
    ],
)
def test_files_that_are_broken(compose, text, message):
    with pytest.raises(UsageError, match=message):
        compose(text).validate()

"""What reads a stack's files in the place of ``docker stack config``, and what is made of its answer."""

from __future__ import annotations

import os

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator import detect, stack_config
from jenkins_proxy.orchestrator.runner import Program, Runner

BIND = {"type": "bind", "source": "/a", "target": "/b"}
VOLUME = {"type": "volume", "source": "data", "target": "/data"}
TMPFS = {"type": "tmpfs", "target": "/scratch"}
LIMITS = {"resources": {"limits": {"cpus": 0.5, "memory": "50M", "pids": 100}, "reservations": {"cpus": "0.25"}}}
# As compose 1.29.2 and 2.26.1 print it; null commands, modes as text and names of ports are of later ones.
FITTED = {
    "nulls": ({"command": None, "entrypoint": None, "networks": {"default": None}}, {"networks": {"default": None}}),
    "depends_on": ({"depends_on": {"db": {"condition": "service_started", "required": True}}}, {"depends_on": ["db"]}),
    "depends_on of a list": ({"depends_on": ["db"]}, {"depends_on": ["db"]}),
    "build": (
        {"build": {"context": "/src", "dockerfile": "Dockerfile", "ssh": ["default"]}},
        {"build": {"context": "/src"}},
    ),
    "published as text": (
        {"ports": [{"target": 8080, "published": "80", "protocol": "tcp", "mode": "host"}]},
        {"ports": [{"target": 8080, "published": 80, "protocol": "tcp", "mode": "host"}]},
    ),
    "a port with an address and a name": (
        {"ports": [{"target": 80, "host_ip": "127.0.0.1", "name": "web"}]},
        {"ports": [{"target": 80}]},
    ),
    "a range stays for stack to judge": (
        {"ports": [{"target": 80, "published": "8000-8010"}]},
        {"ports": [{"target": 80, "published": "8000-8010"}]},
    ),
    "ports in short": ({"ports": ["127.0.0.1:80:8080/tcp"]}, {"ports": ["127.0.0.1:80:8080/tcp"]}),
    "create_host_path": ({"volumes": [{**BIND, "bind": {"create_host_path": True}}]}, {"volumes": [BIND]}),
    "propagation": (
        {"volumes": [{**BIND, "bind": {"create_host_path": True, "propagation": "rslave"}}]},
        {"volumes": [{**BIND, "bind": {"propagation": "rslave"}}]},
    ),
    "volume": ({"volumes": [{**VOLUME, "volume": {}}]}, {"volumes": [VOLUME]}),
    "a volume's nulls": ({"volumes": [{**VOLUME, "volume": None, "bind": None}]}, {"volumes": [VOLUME]}),
    "nocopy": (
        {"volumes": [{**VOLUME, "volume": {"nocopy": True}}]},
        {"volumes": [{**VOLUME, "volume": {"nocopy": True}}]},
    ),
    "tmpfs": (
        {"volumes": [{**TMPFS, "tmpfs": {"size": "1000000"}}]},
        {"volumes": [{**TMPFS, "tmpfs": {"size": 1000000}}]},
    ),
    "volumes in short": ({"volumes": ["data:/data:rw"]}, {"volumes": ["data:/data:rw"]}),
    "a secret's usual place": (
        {"secrets": [{"source": "s", "target": "/run/secrets/s"}]},
        {"secrets": [{"source": "s"}]},
    ),
    "a secret's own place": (
        {"secrets": [{"source": "s", "target": "/run/s", "mode": 288}]},
        {"secrets": [{"source": "s", "target": "/run/s", "mode": 288}]},
    ),
    "a config's mode as text": (
        {"configs": [{"source": "c", "target": "/c", "mode": "0440"}]},
        {"configs": [{"source": "c", "target": "/c", "mode": 0o440}]},
    ),
    "cpus": (
        {"deploy": LIMITS},
        {
            "deploy": {
                "resources": {"limits": {"cpus": "0.5", "memory": "50M", "pids": 100}, "reservations": {"cpus": "0.25"}}
            }
        },
    ),
    "other deploy": ({"deploy": {"replicas": 0, "labels": ["a=b"]}}, {"deploy": {"replicas": 0, "labels": ["a=b"]}}),
    "extra_hosts": (
        {"extra_hosts": ["a=10.0.0.1", "six=::1", "b:10.0.0.2"]},
        {"extra_hosts": ["a:10.0.0.1", "six:::1", "b:10.0.0.2"]},
    ),
    "extra_hosts of a mapping": ({"extra_hosts": {"a": "10.0.0.1"}}, {"extra_hosts": {"a": "10.0.0.1"}}),
    "environment": ({"environment": {"A": None, "B": "p$$w"}}, {"environment": {"A": None, "B": "p$w"}}),
    "dollars in keys": ({"labels": {"$$$$a": "$$b"}}, {"labels": {"$$a": "$b"}}),
}


@pytest.mark.parametrize("printed, fit", FITTED.values(), ids=FITTED)
def test_a_service_is_made_fit_for_a_stack(printed, fit):
    assert stack_config.fitted({"services": {"app": printed}}, {})["services"] == {"app": fit}


def test_a_document_is_made_fit_for_a_stack():
    networks = {"default": {"name": "books-ms_default"}}
    printed = {
        "name": "books-ms",
        "services": {"app": {"environment": {"A": "cut", "B": "b"}}, "db": {}},
        "networks": networks,
    }
    assert stack_config.fitted(printed, {"app": {"A": "c$ut", "C": "c"}, "gone": {"A": "a"}}) == {
        "version": "3.9",
        "networks": networks,
        "services": {"app": {"environment": {"A": "c$ut", "B": "b", "C": "c"}}, "db": {}},
    }
    assert stack_config.fitted({"version": "2.4"}, {}) == {"version": "3.9"}


@pytest.fixture
def read(docker, tmp_path, monkeypatch):
    """``read("compose-v1", text)`` is what is read of this file by that program."""
    # The folder that it runs in is another.
    monkeypatch.chdir("/")

    def run(name: str, text: str):
        (tmp_path / "stack.yml").write_text(text)
        reader = Runner(detect.probe(name, os.environ), os.environ, Console())
        return stack_config.rendered(reader, "books-ms", [str(tmp_path / "stack.yml")])

    return run


@pytest.mark.parametrize("name", ["compose-v1", "compose-v2"])
def test_compose_reads_a_stacks_file_as_a_stack_does(read, tmp_path, monkeypatch, name):
    monkeypatch.setenv("TAG", "7")
    (tmp_path / ".env").write_text("TAG=8\nOTHER=of the folder\n")
    (tmp_path / "app.env").write_text("FROM_FILE=a$b${TAG}'\n")
    document = read(
        name,
        """version: "3.8"
services:
  app:
    image: "books:${TAG}"
    env_file: app.env
    environment: {PASSWORD: "p$$w", OTHER: "${OTHER:-none}"}
    ports: [{target: 8080, mode: host}]
    depends_on: [db]
    deploy: {resources: {limits: {cpus: "0.50"}}}
  db: {image: "db:1"}
""",
    )
    app = document["services"]["app"]
    assert document["version"] == "3.9"
    assert app["image"] == "books:7"
    assert app["environment"] == {"FROM_FILE": "a$b${TAG}'", "PASSWORD": "p$w", "OTHER": "none"}
    assert app["depends_on"] == ["db"]
    assert app["deploy"]["resources"]["limits"]["cpus"] == "0.5"
    assert app["ports"][0]["mode"] == "host"


@pytest.mark.parametrize("name", ["compose-v1", "compose-v2"])
def test_a_wrong_file_is_told_by_what_read_it(read, tmp_path, name):
    with pytest.raises(UsageError, match="compose file .*stack.yml: .*nonsense") as caught:
        read(name, 'version: "3.8"\nservices: {app: {image: "a:1", nonsense: 1}}\n')
    assert "-p books-ms -f" in caught.value.hint


def test_a_docker_cli_without_stack_config_needs_a_compose():
    reader = Runner(Program("stack", ("docker", "stack"), "20.10.24"), {}, Console())
    with pytest.raises(UsageError, match="Docker CLI 20.10.24 has no `docker stack config`, and no compose") as caught:
        stack_config.rendered(reader, "books-ms", ["stack.yml"])
    assert caught.value.hint.startswith("install docker-compose or Docker's compose plug-in, or version 23 or newer")

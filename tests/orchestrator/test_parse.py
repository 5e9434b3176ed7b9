"""What is read of rendered configurations, in the shapes of each orchestrator."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.project import External, Port


def project(**services):
    return parse("books-ms", {"services": services})


PORTS = [
    ("8080", Port(8080)),
    ("80:8080", Port(8080, "80")),
    ("127.0.0.1:80:8080", Port(8080, "80")),
    ("127.0.0.1::8080", Port(8080)),
    ("8000-8010:8080/tcp", Port(8080, among=(8000, 8010))),
    ("53:53/udp", Port(53, "53", protocol="udp")),
    ("8000-8000:8080", Port(8080, "8000")),
    (8080, Port(8080)),
    ({"target": 8080}, Port(8080)),
    ({"target": 8080, "published": 80, "protocol": "tcp"}, Port(8080, "80")),
    ({"target": 8080, "published": "80", "mode": "ingress"}, Port(8080, "80", "ingress")),
    ({"target": 8080, "published": "8000-8010", "mode": "host"}, Port(8080, "", "host", among=(8000, 8010))),
    ({"target": 53, "protocol": "udp"}, Port(53, protocol="udp")),
]


@pytest.mark.parametrize("written, expected", PORTS, ids=[str(written) for written, _ in PORTS])
def test_ports_of_all_flavours(written, expected):
    assert project(app={"ports": [written]}).services["app"].ports == (expected,)


def test_what_a_service_uses_and_compose_does_not_make():
    config = {
        "services": {
            "app": {
                "networks": {"edge": None, "own": None},
                "volumes": ["data:/data", {"type": "volume", "source": "own", "target": "/own"}],
                "secrets": [{"source": "word"}, "key"],
                "configs": ["conf"],
            },
            "db": {"network_mode": "host"},
            "old": {"networks": ["former"]},
        },
        "networks": {"edge": {"external": True, "name": "edge-net"}, "former": {"external": {"name": "f"}}, "own": {}},
        "volumes": {"data": {"external": True}, "own": None},
        "secrets": {"word": {"file": "/abs/word"}, "key": {"external": True}},
        "configs": {"conf": {"content": "x"}},
    }
    services = parse("books", config).services
    assert services["app"].externals == (
        External("network", "edge-net"),
        External("volume", "data"),
        External("secret", "key"),
        External("secret", "word", "/abs/word"),
    )
    assert services["db"].externals == ()
    assert services["old"].externals == (External("network", "f"),)


@pytest.mark.parametrize("config", [None, [], {}, {"services": {}}, "text"])
def test_a_file_without_services(config):
    with pytest.raises(UsageError, match="define no service"):
        parse("books-ms", config)


def test_the_rest_of_a_service():
    service = project(app={"image": "books-ms:1", "build": {"context": "."}, "scale": 3}).services["app"]
    assert (service.image, service.built, service.replicas) == ("books-ms:1", True, 3)
    assert project(app={"deploy": {"replicas": 0}}).services["app"].replicas == 0
    assert project(app={}).services["app"].replicas is None


@pytest.mark.parametrize("labels", [{"a": 1, "b": "x=y", "c": None}, ["a=1", "b=x=y", "c"]])
def test_labels_in_both_forms_and_those_of_the_swarm_service_over_them(labels):
    project = parse("books", {"services": {"app": {"labels": labels, "deploy": {"labels": {"a": "2"}}}, "db": None}})

    assert project.services["app"].labels == {"a": "2", "b": "x=y", "c": ""}
    assert project.services["db"].labels == {}

"""The compose file of one color: a table from rendered configuration to document."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.compose import color_overlay

V2 = {"name": "books", "networks": {"default": {"name": "books_default"}}, "volumes": {"data": {"name": "books_data"}}}
V1 = {"version": "3.7", "networks": {"front": {"driver": "bridge"}}, "volumes": {"data": {}}}


def document(service: dict, config: dict = V2, **sides: str) -> dict:
    """The document for a target ``app`` like this one, blue."""
    return color_overlay.document(
        {**config, "services": {"app": {"image": "books:1", **service}, "db": {"image": "db"}}},
        "app",
        service="books-ms",
        color="blue",
        project="books",
        sides=sides,
    )


def target(service: dict, config: dict = V2, **sides: str) -> dict:
    return document(service, config, **sides)["services"]["app"]


def test_only_the_target_is_doubled_on_the_networks_of_the_base_project():
    made = document({"networks": {"default": None}, "depends_on": {"db": {}}})

    assert list(made["services"]) == ["app"]
    assert "depends_on" not in made["services"]["app"]
    assert made["networks"] == {"default": {"external": True, "name": "books_default"}}
    assert "version" not in made


def test_what_v1_renders_names_networks_in_the_form_that_every_version_knows():
    made = document({"networks": {"front": None, "default": None}, "volumes": ["data:/data:rw", "/abs:/x:rw"]}, V1)

    assert made["version"] == "3.7"
    assert made["networks"] == {
        "default": {"external": {"name": "books_default"}},
        "front": {"external": {"name": "books_front"}},
    }
    assert made["volumes"] == {"data": {"external": {"name": "books_data"}}}


def test_a_file_of_version_1_has_no_networks_and_volumes_without_a_project():
    made = document({"network_mode": "bridge", "volumes": ["data:/data:rw", "/abs:/x:rw"]}, {"version": "1"})

    assert "networks" not in made
    assert made["volumes"] == {"data": {"external": {"name": "data"}}}
    assert made["version"] == "2.1", "the document has services:, which the first version has not"


def test_the_name_is_for_the_tcp_port():
    ports = [{"target": 53, "protocol": "udp"}, {"target": 8080}]
    assert target({"ports": ports})["environment"] == {"SERVICE_8080_NAME": "books-ms-blue"}
    assert target({"ports": ["53:53/udp", "8080/tcp"]})["environment"] == {"SERVICE_8080_NAME": "books-ms-blue"}


def test_volumes_and_external_networks_keep_their_own_names():
    config = {**V2, "networks": {"edge": {"name": "edge-net", "external": True}}}
    made = document(
        {
            "networks": {"edge": None},
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data"},
                {"type": "bind", "source": "/abs", "target": "/x"},
                {"type": "volume", "target": "/anonymous"},
            ],
        },
        config,
    )

    assert made["networks"] == {"edge": {"external": True, "name": "edge-net"}}
    assert made["volumes"] == {"data": {"external": True, "name": "books_data"}}


def test_the_hosts_network_is_no_network_of_the_project():
    assert document({"network_mode": "host"})["networks"] == {}


@pytest.mark.parametrize("kind", ["secrets", "configs"])
def test_the_secrets_and_configs_that_the_target_names_come_along(kind):
    declared = {kind: {"word": {"file": "/abs/word"}, "key": {"external": True}, "built": {"file": "/b"}, "db": {}}}
    more = {kind: [{"source": "word", "target": "w"}, "key"], "build": {"context": "/src", kind: [{"source": "built"}]}}
    made = document(more, {**V2, **declared})

    assert made[kind] == {"word": {"file": "/abs/word"}, "key": {"external": True}, "built": {"file": "/b"}}
    assert not {"secrets", "configs"} & set(document({"build": "/src"}, {**V2, **declared}))


def test_links_lead_to_the_containers_of_the_base_project():
    assert target({"links": ["db", "db:database"]}, db="books-db-1")["external_links"] == [
        "books-db-1:db",
        "books-db-1:database",
    ]


@pytest.mark.parametrize(
    ("service", "environment", "labels"),
    [
        pytest.param({}, {"SERVICE_NAME": "books-ms-blue"}, {}, id="named by its image"),
        pytest.param(
            {"environment": {"SERVICE_NAME": "books-ms", "A": None}},
            {"SERVICE_NAME": "books-ms-blue", "A": None},
            {},
            id="named by its environment",
        ),
        pytest.param(
            {"labels": {"SERVICE_8080_NAME": "books-ms"}},
            {},
            {"SERVICE_8080_NAME": "books-ms-blue"},
            id="named by a label for the port",
        ),
        pytest.param(
            {"environment": {"SERVICE_8080_NAME": "books-ms", "SERVICE_9090_NAME": "admin"}},
            {"SERVICE_8080_NAME": "books-ms-blue", "SERVICE_9090_NAME": "admin"},
            {},
            id="another port's name",
        ),
        pytest.param(
            {"environment": {"SERVICE_NAME": "books-ms", "SERVICE_ID": "books"}},
            {"SERVICE_NAME": "books-ms-blue", "SERVICE_ID": "books-blue"},
            {},
            id="an ID of its own",
        ),
        pytest.param(
            {"ports": [{"target": 8080}, {"target": 9090}]},
            {"SERVICE_8080_NAME": "books-ms-blue"},
            {},
            id="several ports",
        ),
        pytest.param(
            {"ports": ["8080/tcp", "9090/tcp"]},
            {"SERVICE_8080_NAME": "books-ms-blue"},
            {},
            id="several ports as v1 prints them",
        ),
    ],
)
def test_the_name_in_the_registry(service, environment, labels):
    made = target(service)

    assert made["environment"] == environment
    assert made["labels"] == labels


@pytest.mark.parametrize("shared", [{"network_mode": "service:db"}, {"pid": "service:db"}, {"volumes_from": ["db"]}])
def test_what_lives_in_another_container_cannot_move(shared):
    with pytest.raises(UsageError, match="cannot be deployed blue-green"):
        document(shared)

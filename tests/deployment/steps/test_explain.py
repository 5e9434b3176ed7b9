"""Why a container is no instance: each of Registrator's habits in words."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.steps import explain
from jenkins_proxy.model import Binding

TWO_PORTS = (Binding("0.0.0.0", 32768, 8080), Binding("0.0.0.0", 32770, 9090))
SILENT = (Binding("", 0, 8080),)

# name, bindings, more about the container, entries, the reason, the hint
CASES = [
    ("not published", SILENT, {}, [], "books_app_1: it publishes no port, so nothing can reach it", "ports:"),
    (
        "renamed by image",
        (),
        {},
        [{"service": "books-ms-image"}],
        "books_app_1: it is registered under another name: books-ms-image at 10.0.0.1:32768",
        "SERVICE_8080_NAME=books",
    ),
    (
        "named by its image",
        (),
        {"image": "registry:5000/x/bb:1.2"},
        [{"service": "bb"}],
        "books_app_1: it is registered under the name of its image: bb at 10.0.0.1:32768",
        "SERVICE_8080_NAME=books",
    ),
    (
        "renamed by a second port",
        TWO_PORTS,
        {},
        [{"service": "books-8080"}, {"service": "books-9090", "port": 32770}],
        "books_app_1: it publishes several ports, so Registrator renamed it: "
        "books-8080 at 10.0.0.1:32768, books-9090 at 10.0.0.1:32770",
        "SERVICE_8080_NAME=books",
    ),
    (
        "named by its image and renamed by a second port",
        TWO_PORTS,
        {"image": "bb"},
        [{"service": "bb-9090", "port": 32770}],
        "books_app_1: it is registered under the name of its image: bb-9090 at 10.0.0.1:32770",
        "SERVICE_9090_NAME=books",
    ),
    (
        "critical",
        (),
        {},
        [{"status": "critical", "output": "HTTP GET /:\n 500"}],
        "books_app_1: critical at 10.0.0.1:32768: HTTP GET /: 500",
        "SERVICE_CHECK_",
    ),
    (
        "critical without a word",
        (),
        {},
        [{"status": "critical"}],
        "books_app_1: critical at 10.0.0.1:32768: the check has not run yet, or says nothing",
        "SERVICE_CHECK_",
    ),
    (
        "unhealthy",
        (),
        {"health": "unhealthy"},
        [{}],
        "books_app_1: its HEALTHCHECK says unhealthy: cannot reach the database",
        "docker inspect books_app_1",
    ),
    (
        "unhealthy, and so the registry's check",
        (),
        {"health": "starting"},
        [{"status": "critical"}],
        "books_app_1: its HEALTHCHECK says starting: cannot reach the database",
        "docker inspect books_app_1",
    ),
    (
        "stale twin",
        (),
        {},
        [{"port": 32760}],
        "books_app_1: the registry still holds its predecessor at 10.0.0.1:32760 under the same ID "
        "node-1:books_app_1:8080; the published port is 32768",
        "restart Registrator",
    ),
    (
        "Registrator -internal",
        (),
        {},
        [{"host": "172.17.0.2", "port": 8080}],
        "books_app_1: it is registered at 172.17.0.2:8080, its address inside Docker's network, which nothing beyond "
        "its node reaches",
        "without -internal",
    ),
    (
        "a twin that published the port under its own number",
        (),
        {},
        [{"port": 8080}],
        "books_app_1: the registry still holds its predecessor at 10.0.0.1:8080 under the same ID "
        "node-1:books_app_1:8080; the published port is 32768",
        "restart Registrator",
    ),
    (
        "another address",
        (),
        {},
        [{"host": "192.168.7.7", "id": "books"}],
        "books_app_1: port 32768 is registered at 192.168.7.7, an address other than expected (10.0.0.1, 127.0.0.1)",
        "-ip",
    ),
    (
        "not there",
        (),
        {"node": "node-1"},
        [],
        "books_app_1: no entry at 10.0.0.1:32768, 127.0.0.1:32768",
        "Registrator running on node-1",
    ),
    ("restarting", (), {"state": "restarting"}, [], "books_app_1: it is restarting", "docker logs books_app_1"),
]


@pytest.mark.parametrize(
    ("bindings", "more", "entries", "reason", "hint"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_reason(a_container, an_instance, bindings, more, entries, reason, hint):
    container = a_container("books_app_1", 32768, bindings=bindings, **more)
    everything: dict = {}
    for entry in (an_instance(**{"service": "books", **given}) for given in entries):
        everything.setdefault(entry.service, []).append(entry)
    found = matching.match([container], everything.get("books", []))

    (missing,) = explain.diagnose("books", found, everything, {container.id: "cannot reach\n the database"})

    assert str(missing) == reason
    assert hint in missing.hint


def test_what_is_ready_needs_no_reason(a_container, an_instance):
    container = a_container("books_app_1", 32768)

    assert explain.diagnose("books-ms", matching.match([container], [an_instance()]), {}) == ()


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("books-ms", "books-ms"),
        ("vfarcic/books-ms:1.2", "books-ms"),
        ("registry:5000/books-ms", "books-ms"),
        ("x@sha256:ab", "x@sha256"),
    ],
)
def test_the_name_that_registrator_takes_from_an_image(image, name):
    assert explain.image_name(image) == name


def everything(*instances) -> dict[str, list]:
    found: dict[str, list] = {}
    for instance in instances:
        found.setdefault(instance.service, []).append(instance)
    return found


def test_no_patience_helps_where_every_port_has_another_name(a_container, an_instance):
    one = a_container("books_app_1", 32768)
    two = a_container("books_app_1", bindings=(Binding("0.0.0.0", 32768, 8080), Binding("0.0.0.0", 32769, 9090)))
    named = everything(an_instance(32768, service="other"))
    both = everything(an_instance(32768, service="other"), an_instance(32769, service="other-9090"))

    def hopeless(container, known) -> list[str]:
        found = explain.hopeless("books-ms", matching.match([container], []), known)
        return [f"{reason} ({reason.hint})" for reason in found]

    assert hopeless(one, {}) == []
    assert hopeless(two, named) == [], "the other port's entry may come yet"
    assert hopeless(one, everything(an_instance(32768, host="10.9.9.9", service="other"))) == []
    assert hopeless(one, everything(an_instance(32768))) == [], "it is there by now"
    assert hopeless(one, named) == [
        "books_app_1: it is registered under another name: other at 10.0.0.1:32768 "
        "(set SERVICE_8080_NAME=books-ms in the compose file, or deploy the service other)"
    ]
    assert len(hopeless(two, both)) == 1


def test_at_most_three_addresses_are_named(a_container):
    many = tuple(f"10.0.0.{number}" for number in range(1, 86))
    container = a_container("books_app_1", 32768, node_addresses=many)
    [reason] = explain.diagnose("books-ms", matching.match([container], []), {})
    assert reason.reason == "no entry at 10.0.0.1:32768, 10.0.0.2:32768, 10.0.0.3:32768 and 82 more"

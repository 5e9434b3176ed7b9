from __future__ import annotations

import pytest

from jenkins_proxy.model import Address, Container, Route


@pytest.mark.parametrize(
    "address, text",
    [
        (Address("10.100.192.202", 32768), "10.100.192.202:32768"),
        (Address("fd00::2", 80), "[fd00::2]:80"),
    ],
)
def test_addresses_read_as_in_a_url(address, text):
    assert str(address) == text


def test_only_running_is_running():
    states = ("running", "created", "restarting", "exited", "paused", "dead")
    found = [Container("1", "app_1", "app", "books", "books:1", state).running for state in states]
    assert found == [True, *[False] * 5]


def test_the_registry_knows_a_color_by_the_name():
    assert Route("books-ms").registry_name == "books-ms"
    assert Route("books-ms", color="blue").registry_name == "books-ms-blue"


def test_a_route_survives_json():
    route = Route("books-ms", ("/api",), ("example.com", "*.example.org"), color="blue", skip_check=True)
    assert Route.from_dict(route.as_dict()) == route
    assert route.as_dict()["paths"] == ["/api"]


def test_a_newer_route_is_read_without_what_it_adds():
    assert Route.from_dict({"service": "books-ms", "paths": ["/api"], "weight": 3}) == Route("books-ms", ("/api",))


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (Route("s", ("/a", "/b")), "/a"),
        (Route("s", domains=("example.com",)), "/"),
        (Route("s", ("/a",), path_type="path"), "/a"),
        (Route("s", ("/.*/a",), path_type="path_reg"), ""),
        (Route("s", (".json",), path_type="path_end"), ""),
        (Route("s", ("/a.json",), path_type="path_end"), "/a.json"),
    ],
)
def test_the_path_that_a_route_names_itself(route, path):
    assert route.page == path


@pytest.mark.parametrize(
    ("domains", "host"),
    [
        ((), ""),
        (("a.example", "b.example"), "a.example"),
        (("*.example.com",), "www.example.com"),
        (("*.example.com", "b.example"), "b.example"),
        ((".example.com",), "www.example.com"),
        (("api.",), ""),
        (("api.", "b.example"), "b.example"),
    ],
)
def test_the_host_that_a_route_matches(domains, host):
    assert Route("s", ("/",), domains).host == host

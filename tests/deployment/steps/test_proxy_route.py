"""A route in words, and where users reach it."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.model import Address, Route


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (Route("s", ("/a", "/b")), "/a, /b"),
        (Route("s", ("/a",), ("x.example", "y.example")), "x.example/a, y.example/a"),
        (Route("s", domains=("x.example",)), "x.example/"),
        (Route("s", ("/a",), color="blue"), "/a (s-blue)"),
    ],
)
def test_words(route, text):
    assert proxy_route.describe(route) == text


@pytest.mark.parametrize(
    ("entry", "route", "url"),
    [
        ("http://127.0.0.1", Route("s", ("/a", "/b")), "http://127.0.0.1/a"),
        ("http://10.0.0.1:8080", Route("s", ("/a",), ("x.example",)), "http://x.example:8080/a"),
        ("https://proxy", Route("s", domains=("x.example",)), "https://x.example/"),
        ("http://[::1]:8080", Route("s", domains=("x.example",)), "http://x.example:8080/"),
        ("http://[::1]", Route("s", domains=("x.example",)), "http://x.example/"),
        ("http://proxy", Route("s", (".*",), path_type="path_reg"), "http://proxy/"),
        ("http://proxy", Route("s", ("/a",), ("*.x.example",)), "http://www.x.example/a"),
    ],
)
def test_url(entry, route, url):
    assert proxy_route.url(entry, route) == url


def test_serving():
    answer = {
        "instances": [
            {"address": "10.0.0.1", "port": 1, "serving": True},
            {"address": "10.0.0.1", "port": 2, "serving": False},
        ]
    }

    assert proxy_route.serving(answer) == [Address("10.0.0.1", 1)]

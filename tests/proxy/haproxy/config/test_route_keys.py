"""What a request must look like to reach a route, as tables."""

from __future__ import annotations

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config import route_keys


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        pytest.param(Route("a", ("/x", "/y")), {("", "path_beg", "/x"), ("", "path_beg", "/y")}, id="paths"),
        pytest.param(
            Route("a", ("/x",), ("Example.com",)),
            {("example.com", "path_beg", "/x"), (".example.com", "path_beg", "/x")},
            id="domain-and-below",
        ),
        pytest.param(Route("a", (), ("*.example.com",)), {(".example.com", "path_beg", "/")}, id="only-below"),
        pytest.param(Route("a", (".png",), (), "path_end"), {("", "path_end", ".png")}, id="irregular"),
    ],
)
def test_keys_of_a_route(route, expected):
    assert {(key.domain, key.path_type, key.path) for key in route_keys.keys(route)} == expected


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        pytest.param(Route("a", ("/x", "/y")), Route("b", ("/y",)), "/y", id="same-path"),
        pytest.param(Route("a", ("/x",), ("e.com",)), Route("b", ("/x",), ("*.e.com",)), ".e.com/x", id="below"),
        pytest.param(Route("a", ("/x",)), Route("b", ("/x",), path_type="path"), None, id="equal-beside-prefix"),
        pytest.param(Route("a", ("/x",)), Route("b", ("/x/y",)), None, id="longer-prefix"),
        pytest.param(Route("a", ("/x",)), Route("b", ("/x",), ("e.com",)), None, id="domain-beside-none"),
        pytest.param(Route("a", ("/x",)), Route("a", ("/x",)), None, id="the-same-service"),
    ],
)
def test_conflict(one, other, where):
    found = route_keys.conflict(one, [other])
    assert (found and found[0].text) == where

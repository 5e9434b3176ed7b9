"""The check of a route: tables."""

from __future__ import annotations

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.route_check import rewritten, route_check


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (Route("s", ("/a", "/b")), ("GET /a", "", False)),
        (Route("s", domains=("example.com",)), ("GET /", "example.com", False)),
        (Route("s", ("/a",), ("*.example.com",), check_path="/up"), ("GET /up", "www.example.com", True)),
        (Route("s", ("/a.*",), path_type="path_reg"), ("OPTIONS *", "", False)),
        (Route("s", ("/a.*",), path_type="path_reg", check_path="/up?x=1"), ("GET /up?x=1", "", True)),
        (Route("s", ("/a",), req_path_search="^/a", req_path_replace="/x"), ("GET /x", "", False)),
    ],
)
def test_what_is_asked(route, expected):
    check = route_check(route)
    assert (str(check), check.host, check.lasting) == expected


def test_no_check_where_none_is_wanted():
    assert route_check(Route("s", ("/a",), skip_check=True, check_path="/up")) is None


@pytest.mark.parametrize(
    ("route", "good"),
    [
        (Route("s", ("/a",), check_path="/up"), {200, 204, 301, 399, 401, 403}),
        (Route("s", ("/a",)), {200, 204, 301, 399, 401, 403, 400, 404, 499}),
        (Route("s", (".x",), path_type="path_end"), {200, 204, 301, 399, 401, 403, 400, 404, 499, 500, 503}),
    ],
)
def test_which_statuses_are_good(route, good):
    statuses = (200, 204, 301, 399, 400, 401, 403, 404, 499, 500, 503)
    assert {status for status in statuses if route_check(route).accepts(status)} == good


@pytest.mark.parametrize(
    ("search", "replace", "page", "expected"),
    [
        ("", "", "/a/b", "/a/b"),
        ("^/a/", "/", "/a/b?x=/a/", "/b?x=/a/"),
        ("a", "x", "/a/a", "/x/a"),
        ("^/a/", "", "/a/b", "/b"),
        ("^/z", "/y", "/a", "/a"),
        ("^/[[:alpha:]]+[[:^alpha:]]", "/", "/ab1/c", "//c"),
        ("^/[[:upper:][:digit:]_]+", "/x", "/A_1b", "/xb"),
        ("[[/]b", "/x", "/a/b", "/a/x"),
    ],
)
def test_a_page_is_rewritten_as_haproxy_does_it(search, replace, page, expected):
    route = Route("s", ("/a",), req_path_search=search, req_path_replace=replace)
    assert rewritten(route, page) == expected

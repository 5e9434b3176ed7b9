"""Which request reaches which route, as tables."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy import route_table


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
    assert {(key.domain, key.path_type, key.path) for key in route_table.keys(route)} == expected


def test_levels_go_from_the_host_to_its_shortest_suffix_and_then_to_any_host():
    routes = [Route("any", ("/a",)), Route("short", (), ("org",)), Route("long", (), ("*.a.example.com",))]
    assert [level.depth for level in route_table.table(routes).levels] == [0, 3, 1, route_table.NO_HOST]


def test_a_key_of_two_routes_leads_to_the_first_by_acl_name():
    routes = [Route("aaa", ("/x",)), Route("zzz", ("/x",), acl_name="01")]
    assert route_table.table(routes).prefix == {"/x": "zzz-be"}


def test_rules_are_in_the_order_of_acl_name():
    routes = [Route("b", ("b",), path_type="path_reg"), Route("a", ("a",), path_type="path_sub", acl_name="z")]
    (level,) = route_table.table(routes).levels
    assert [rule.backend for rule in level.rules] == ["b-be", "a-be"]


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
    found = route_table.conflict(one, [other])
    assert (found and found[0].text) == where


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/a\x00", "/\u00e9"])
def test_what_cannot_be_a_key_of_a_map_is_refused(path):
    with pytest.raises(UsageError, match="cannot be a key"):
        route_table.table([Route("a", (path,))])

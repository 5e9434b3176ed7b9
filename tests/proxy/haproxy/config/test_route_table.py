"""In which order a request looks for its route."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config import route_keys, route_table


def test_levels_go_from_the_host_to_its_shortest_suffix_and_then_to_any_host():
    routes = [Route("any", ("/a",)), Route("short", (), ("org",)), Route("long", (), ("*.a.example.com",))]
    assert [level.depth for level in route_table.table(routes).levels] == [0, 3, 1, route_keys.NO_HOST]


def test_a_key_of_two_routes_leads_to_the_first_by_acl_name():
    routes = [Route("aaa", ("/x",)), Route("zzz", ("/x",), acl_name="01")]
    assert route_table.table(routes).prefix == {"/x": "zzz-be"}


def test_rules_are_in_the_order_of_acl_name():
    routes = [Route("b", ("b",), path_type="path_reg"), Route("a", ("a",), path_type="path_sub", acl_name="z")]
    (level,) = route_table.table(routes).levels
    assert [rule.backend for rule in level.rules] == ["b-be", "a-be"]


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/a\x00", "/\u00e9"])
def test_what_cannot_be_a_key_of_a_map_is_refused(path):
    with pytest.raises(UsageError, match="cannot be a key"):
        route_table.table([Route("a", (path,))])

"""What is left of a route from which another one takes paths and domains: a table."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.config.route_defaults import RouteDefaults
from jenkins_proxy.proxy.models import ConflictError
from jenkins_proxy.proxy.service.admission import refuse_conflict
from jenkins_proxy.proxy.service.take_over import remainders

ROUTE = Route("new", ("/a", "/b"))


@pytest.mark.parametrize(
    ("algo", "domain", "own_algo", "other", "left"),
    [
        ("", "a.org", "", Route("old", (), ("*.a.org",)), None),
        ("hdr(host)", "a.org", "", Route("old", (), ("*.a.org",)), "untouched"),
        ("hdr_beg(host)", "a.org", "hdr_beg(host)", Route("old", (), ("a.org", "b.org")), Route("old", (), ("b.org",))),
    ],
)
def test_routes_that_do_not_say_how_their_domains_match_do_as_all(algo, domain, own_algo, other, left) -> None:
    route, defaults = Route("new", (), (domain,), domain_algo=own_algo), RouteDefaults(domain_algo=algo)
    assert remainders(route, [other], defaults) == ({} if left == "untouched" else {"old": left})
    with contextlib.nullcontext() if left == "untouched" else pytest.raises(ConflictError):
        refuse_conflict(route, [other], defaults)


@pytest.mark.parametrize(
    ("route", "other", "left"),
    [
        (ROUTE, Route("old", ("/a",)), None),
        (ROUTE, Route("old", ("/a", "/c")), Route("old", ("/c",))),
        (ROUTE, Route("old", ("/a",), path_type="path"), "untouched"),
        (ROUTE, Route("old", ("/a",), ("a.org",)), "untouched"),
        (ROUTE, Route("old", ("/a",), user_agent=("iPhone",)), "untouched"),
        (ROUTE, Route("new", ("/a",)), "untouched"),
        (Route("new", (), ("a.org",)), Route("old", (), ("a.org", "b.org")), Route("old", (), ("b.org",))),
        (Route("new", (), ("a.org",)), Route("old", (), ("*.a.org",)), None),
        (
            Route("new", ("/x",), ("a.org",)),
            Route("old", ("/x", "/y"), ("a.org", "b.org")),
            Route("old", ("/y",), ("a.org", "b.org")),
        ),
        (
            Route("new", (), ("a.org",)),
            Route("old", (), ("b.org",), redirect_from_domain=("a.org", "c.org")),
            Route("old", (), ("b.org",), redirect_from_domain=("c.org",)),
        ),
        (
            dataclasses.replace(ROUTE, is_default_backend=True),
            Route("old", ("/c",), is_default_backend=True),
            Route("old", ("/c",)),
        ),
    ],
)  # fmt: skip
def test_what_is_left(route, other, left):
    assert remainders(route, [other]) == ({} if left == "untouched" else {"old": left})

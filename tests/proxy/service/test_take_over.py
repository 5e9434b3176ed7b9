"""What is left of a route from which another one takes paths and domains: a table."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.service.take_over import remainders

ROUTE = Route("new", ("/a", "/b"))


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

"""Which color comes next, and which came before."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.base import color_project


@pytest.mark.parametrize(("serving", "after"), [(None, "blue"), ("", "blue"), ("blue", "green"), ("green", "blue")])
def test_the_next_color(serving, after):
    route = None if serving is None else Route("s", ("/",), color=serving)

    assert colors.next_after(route) == after


@pytest.mark.parametrize(
    ("serving", "rivals"),
    [
        ("", ("blue", "green")),
        ("blue", ("green", "")),
        ("green", ("blue", "")),
    ],
)
def test_what_may_have_served_before(serving, rivals):
    assert colors.rivals(Route("s", ("/",), color=serving)) == rivals


@pytest.mark.parametrize(("color", "project"), [("", "books"), ("blue", "books-blue")])
def test_the_project_of_a_color(color, project):
    assert color_project("books", color) == project

"""Why a route is not taken: tables."""

from __future__ import annotations

import pytest

from jenkins_proxy.model import CRITICAL, PASSING, WARNING, Address, Instance, Route
from jenkins_proxy.proxy.models import ConflictError, NotReadyError
from jenkins_proxy.proxy.service.admission import refuse_absent, refuse_conflict, refuse_empty, refuse_unready

A, B, C = Address("10.0.0.1", 1), Address("lost.local", 2), Address("10.0.0.1", 0)
GREEN = Route("books", ("/",), color="green")


def resolve(address: Address):
    return () if address in (B, C) else (address,)


def instance(address: Address = A, status: str = PASSING, output: str = "") -> Instance:
    return Instance("books-green", "id", address, status=status, output=output)


@pytest.mark.parametrize(
    ("instances", "drained_ids", "reason"),
    [
        pytest.param([], {}, "no live instance of books-green: none is registered", id="none"),
        pytest.param([instance(status=CRITICAL)], {}, "10.0.0.1:1 is critical", id="critical"),
        pytest.param(
            [instance(status=CRITICAL, output="HTTP 500\nsorry")],
            {},
            r"10.0.0.1:1 is critical \(HTTP 500 sorry\)",
            id="its-output-in-one-line",
        ),
        pytest.param([instance()], {A: "id"}, "10.0.0.1:1 is drained", id="drained"),
        pytest.param([instance(B)], {}, "lost.local:2 has an unknown host name", id="unknown-name"),
        pytest.param([instance(C)], {}, "10.0.0.1:0 has no port", id="no-port"),
        pytest.param([instance(B), instance(status=CRITICAL)], {}, "lost.local:2 has .*, 10.0.0.1:1 is", id="all-told"),
    ],
)
def test_nobody_would_get_requests(instances, drained_ids, reason):
    with pytest.raises(ConflictError, match=reason) as refused:
        refuse_empty(GREEN, instances, drained_ids, resolve)
    assert "allowEmpty=true" in refused.value.hint


FIVE = [Address("10.0.0.1", port) for port in range(1, 6)]


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (
            lambda: refuse_empty(GREEN, [instance(each, status=CRITICAL) for each in FIVE], {}, resolve),
            "10.0.0.1:3 is critical and 2 more",
        ),
        (lambda: refuse_absent("books", FIVE, ()), "10.0.0.1:1, 10.0.0.1:2, 10.0.0.1:3 and 2 more"),
        (lambda: refuse_absent("books", [B], FIVE), "there are: 10.0.0.1:1, 10.0.0.1:2, 10.0.0.1:3 and 2 more"),
        (lambda: refuse_unready(GREEN, False, [f"{each} waits" for each in FIVE]), "10.0.0.1:3 waits and 2 more"),
    ],
)
def test_three_addresses_are_named_at_most(refuse, words):
    with pytest.raises((ConflictError, NotReadyError)) as refused:
        refuse()
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert "10.0.0.1:4" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    "instances",
    [[instance()], [instance(status=WARNING)], [instance(status=CRITICAL), instance()], [instance(B), instance()]],
)
def test_one_that_gets_requests_is_enough(instances):
    refuse_empty(GREEN, instances, {A: "another"}, resolve)


@pytest.mark.parametrize(
    ("route", "words"),
    [
        pytest.param(
            Route("new", ("/x", "/books"), ("e.com",)), "e.com/books of new belongs to the route of old", id="path"
        ),
        pytest.param(
            Route("new", (".png",), (), "path_end"), "path_end .png of new belongs to the route of images", id="end"
        ),
    ],
)
def test_a_path_of_another_is_named_with_its_owner(route, words):
    others = [Route("old", ("/books",), ("e.com",)), Route("images", (".png",), (), "path_end"), Route("free", ("/",))]
    with pytest.raises(ConflictError, match=words):
        refuse_conflict(route, others)
    refuse_conflict(Route("free", ("/",)), others)

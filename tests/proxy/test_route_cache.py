"""What a start without the registry begins with, and what it says when that cannot be read."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.holds import Holds
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.route_cache import RouteCache
from jenkins_proxy.proxy.route_store import StoredRoute, StoredRoutes
from tests.fixtures import damage

BOOKS = {"service": "books", "paths": ["/books"]}
HERE = Address("10.0.0.1", 1)
HOLD = {
    **{"id": "01234567", "key_sha256": "0" * 64, "route": BOOKS, "holder": {"name": "me"}, "phase": "verify"},
    **{"since": 1.0, "until": 2.0, "before": [str(HERE)], "serving": [str(HERE)]},
}
SAVED = {
    **{"routes": {"books": [{**BOOKS, "generation": 5}, 12]}, "lineage": "first", "removed": {"users": 8}},
    **{"drains": {"books": {str(HERE): "id"}}, "holds": {"books": [HOLD, 13]}, "holds_lineage": "second"},
}


def test_without_a_file_nothing_is_said(tmp_path, caplog):
    stored, drains, holds = RouteCache(tmp_path / "routes.json").read()
    assert (stored.routes, drains, holds.holds) == ({}, {}, {})
    assert caplog.records == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"routes": 1}', '{"lineage": "", "routes": {"a": []}, "drains": {}}'])
def test_a_damaged_file_is_named(tmp_path, caplog, text):
    path = tmp_path / "routes.json"
    path.write_text(text)
    stored, _, _ = RouteCache(path).read()
    assert stored.routes == {}
    (record,) = caplog.records
    assert f"{path} is not used, as it is damaged" in record.getMessage()


def follows(path) -> bool:
    """A start with the file, and then what the registry reports: it has to come to serve. :return: whether it did."""
    routes, drains, holds = RouteCache(path).read()
    desired = DesiredState(routes, drains, {}, holds)
    desired.instances.take("books", [Instance("books", "id", HERE)])
    for service in desired.services:
        desired.state(service, None)
    desired.backends(desired.services, {})
    reported = StoredRoute(Route("books", ("/new",)), 10**6, 7)
    desired.take_holds(Holds(index=10**6, store_id="second"))
    desired.take_routes(StoredRoutes({"books": reported}, 10**6, store_id="first"))
    return desired.routes == {"books": reported}


def test_whatever_the_file_has_become_a_start_follows_the_registry(tmp_path):
    path = tmp_path / "routes.json"
    for value in damage.wrong_values(SAVED):
        path.write_bytes(value)
        assert follows(path), value


def test_a_route_that_is_lost_with_a_byte_is_told(tmp_path, caplog):
    path = tmp_path / "routes.json"
    for value in damage.bytewise(json.dumps(SAVED).encode()):
        path.write_bytes(value)
        caplog.clear()
        assert follows(path), value
        assert all(str(path) in record.getMessage() and not record.exc_info for record in caplog.records)
        assert "books" in RouteCache(path).read()[0].routes or caplog.records, f"nothing is said of {value!r}"

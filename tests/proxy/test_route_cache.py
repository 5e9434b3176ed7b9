"""What a start without the registry begins with, and what it says when that cannot be read."""

from __future__ import annotations

import pytest

from jenkins_proxy.proxy.route_cache import RouteCache


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

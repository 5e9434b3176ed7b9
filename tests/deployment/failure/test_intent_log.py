"""The journal of a running deploy, in a real Consul."""

from __future__ import annotations

import uuid

import pytest

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.failure import intent_log
from jenkins_proxy.deployment.strategies.record import PROVING, RETIRING, DeployRecord
from jenkins_proxy.model import Route

ENTRY = DeployRecord("rolling", PROVING, "books", "app", ("1", "2"), 2, Route("books-ms", ("/a",)), "now")


@pytest.fixture
def registry(consul_url):
    with Consul(consul_url) as client:
        yield client


@pytest.fixture
def service() -> str:
    return f"f2-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("entry", [ENTRY, DeployRecord("blue-green", RETIRING, "books-blue", "app")])
def test_what_is_written_is_read_again(registry, service, entry):
    written = intent_log.IntentLog(registry, service)
    written.begin(entry)

    assert written.read() == entry
    written.end()
    assert written.read() is None


def test_proven(registry, service):
    written = intent_log.IntentLog(registry, service)
    written.begin(ENTRY)
    written.proven()

    assert written.read().phase == RETIRING
    written.end()


def test_without_an_entry_nothing_is_proven(registry, service):
    written = intent_log.IntentLog(registry, service)
    written.proven()

    assert written.read() is None


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]", b"{}", b'{"route": null, "old": [], "more": 1}'])
def test_what_nobody_of_us_wrote_is_no_entry(registry, service, value):
    registry.kv_put(intent_log.PREFIX + service, value)

    assert intent_log.IntentLog(registry, service).read() is None
    registry.kv_delete(intent_log.PREFIX + service)

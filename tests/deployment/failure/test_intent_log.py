"""The journal of a running deploy, in a real Consul."""

from __future__ import annotations

import dataclasses
import json
import uuid

import pytest

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.deployment.failure import intent_log
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.deployment.steps import hold, lock_holder
from jenkins_proxy.deployment.strategies.record import PROVING, RETIRING, DeployRecord
from jenkins_proxy.model import Route
from tests.fixtures import damage

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


class Kept:
    """A registry that has one value at every key."""

    value = b""

    def kv_get(self, key: str) -> KvPair:
        return KvPair(key, self.value, 7)


def test_a_damaged_entry_is_none_and_named_and_what_is_read_can_be_used():
    written, kept = {**dataclasses.asdict(ENTRY), "route": {"service": "books-ms", "paths": ["/a"]}}, Kept()
    log = intent_log.IntentLog(kept, "books-ms")
    for kept.value in (*damage.wrong_values(written), *damage.bytewise(json.dumps(written).encode())):
        entry = log.read()
        assert log.damaged == ("" if entry else "jenkins-proxy/deploys/books-ms")
        if entry:
            lists = (entry.old, entry.after, entry.others, entry.absent, entry.belongings or ())
            assert all(isinstance(text, str) for text in (entry.strategy, entry.since, entry.hold, *sum(lists, ())))
            assert 0 <= entry.count < 10**6
            assert entry.route is None or Route.from_dict(entry.route.as_dict()) == entry.route


@pytest.mark.parametrize(
    ("good", "read"),
    [
        ({"project": "p", "target": "t", "needs": {"a": ["b"]}, "others": ["c"]}, note.read),
        (
            {"id": "01234567", "route": {"service": "b", "paths": ["/"]}, "serving": ["10.0.0.1:1"], "phase": "verify",
             "since": 1.0, "until": 2.0, "holder": {"name": "me", "build": "", "kept": True}},
            lambda registry, service: (found := hold.read(registry, service)) and found.describe(),
        ),
        (lock_holder.ourselves({}), lambda registry, service: held_by(registry.kv_get(service).value)),
    ],
    ids=["note", "hold", "lock"],
)  # fmt: skip
def test_another_damaged_value_of_the_registry_is_none(good, read):
    kept = Kept()
    kept.value = json.dumps(good).encode()
    assert read(kept, "books-ms")
    for kept.value in (*damage.wrong_values(good), *damage.bytewise(json.dumps(good).encode()), b"[" * 100_000):
        read(kept, "books-ms")


def held_by(value: bytes) -> str:
    holder = lock_holder.parse(value)
    lock_holder.is_dead(holder)
    return lock_holder.describe(holder)

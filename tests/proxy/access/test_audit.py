"""Who changed what: entries, their lines, and that who may nothing pushes nothing out."""

from __future__ import annotations

import json
import logging

import pytest
from aiohttp.test_utils import make_mocked_request

from jenkins_proxy.logs import JsonFormatter, TextFormatter
from jenkins_proxy.proxy.access.audit import Audit, AuditEntry, request_id
from jenkins_proxy.proxy.access.callers import ANONYMOUS, TOKEN, Caller, Role
from jenkins_proxy.proxy.access.registry_keys import RegistryKeys
from jenkins_proxy.proxy.access.tokens import Token, Tokens

CI = Caller("ci", TOKEN, Role.CHANGE)


def entry(at: float = 1.0, *, caller: Caller = CI, status: int = 200, service: str = "books-ms") -> AuditEntry:
    return AuditEntry.of(
        caller, time=at, request_id="4f1c", peer="10.0.0.7", action="put route", service=service, status=status
    )


def test_a_change_is_a_line_with_fields(caplog) -> None:
    with caplog.at_level(logging.INFO):
        Audit().record(entry())
        Audit().record(entry(caller=ANONYMOUS, service="a\nb" + "x" * 500, status=403))
    changed, refused = caplog.records
    assert changed.name == "jenkins_proxy.audit"
    said = TextFormatter().format(changed)
    assert said.endswith("INFO    audit: ci (token) from 10.0.0.7: put route books-ms: 200 [4f1c]")
    line = json.loads(JsonFormatter().format(changed))
    fields = ("logger", "level", "caller", "credential", "peer", "action", "service", "status", "request_id")
    assert tuple(line[name] for name in fields) == (
        "jenkins_proxy.audit", "info", "ci", "token", "10.0.0.7", "put route", "books-ms", 200, "4f1c",
    )  # fmt: skip
    said = TextFormatter().format(refused)
    assert "WARNING audit: anonymous from 10.0.0.7: put route a?b" in said and len(said) < 250


def test_the_latest_come_first_and_refused_ones_push_nothing_out() -> None:
    audit = Audit()
    audit.record(entry(1.0))
    for at in range(2000):
        audit.record(entry(2.0 + at, caller=ANONYMOUS, status=401 if at % 2 else 403))
    audit.record(entry(5000.0, status=409))
    latest = audit.latest(1000)
    assert [one.status for one in (latest[0], latest[-1])] == [409, 200]
    assert [one.time for one in latest] == sorted((one.time for one in latest), reverse=True)
    assert len(latest) == 102
    assert audit.latest(1) == latest[:1] and audit.latest(0) == []
    for at in range(1000):
        audit.record(entry(6000.0 + at))
    assert len(audit.latest(1000)) == 600


def test_refused_calls_fill_no_log(caplog) -> None:
    audit = Audit()
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            audit.record(entry(7.5, caller=ANONYMOUS, status=401))
        audit.record(entry(8.0))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 7
    assert lines[5] == "audit: 995 more calls were refused"


@pytest.mark.parametrize("given", ["4f1c", "a.B_c-1", "x" * 64])
def test_a_good_id_is_kept(given: str) -> None:
    assert request_id({"X-Request-ID": given}) == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "-a", "é", "a/b", "a\n"])
def test_an_id_is_made_where_none_is_given(given: str) -> None:
    made = request_id({"X-Request-ID": given} if given else {})
    assert made != given and len(made) == 16
    assert made != request_id({})


@pytest.mark.parametrize(
    ("presented", "key", "caller", "credential"),
    [
        ("the-daemons-own", "routes/books", None, ""),
        ("changer", "routes/books", "ci", "token"),
        ("reader", "routes/books", "dashboard", "token"),
        ("registrys", "routes/books", "CONSUL_HTTP_TOKEN", "token"),
        ("registrys", "proxies/two", None, ""),
        ("wrong", "routes/evil", "anonymous", ""),
        ("", "routes/evil", "anonymous", ""),
    ],
)
def test_writes_of_the_registrys_keys_are_recorded(
    presented: str, key: str, caller: str | None, credential: str
) -> None:
    audit = Audit()
    tokens = Tokens([Token(Role.READ, "reader", "dashboard"), Token(Role.CHANGE, "changer", "ci")])
    keys = RegistryKeys(tokens, "the-daemons-own", "registrys", audit, unrecorded=("proxies/",))
    keys.told(presented, make_mocked_request("PUT", f"/v1/kv/{key}", headers={"X-Request-ID": "4f1c"}), 200)
    found = [(one.caller, one.credential, one.action, one.service, one.request_id) for one in audit.latest(10)]
    assert found == ([(caller, credential, "registry put", key, "4f1c")] if caller else [])
    assert keys.opens(presented) is (presented in ("the-daemons-own", "changer"))

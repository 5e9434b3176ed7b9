"""The calls about holds: what they ask the service, what they refuse, and what they never say."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.holds import Holder
from jenkins_proxy.proxy.models import ConflictError
from jenkins_proxy.proxy.service.hold_service import HoldRequest

PATH = "/v1/routes/books-ms"
HASH = "ab" * 32
BODY = {"route": {"paths": ["/a"]}, "key_sha256": HASH, "holder": {"name": "me@host:1"}}
HERE, OLD = Address("10.0.0.1", 1), Address("10.0.0.1", 2)


@pytest.fixture
async def client(hold_service):
    async with TestClient(
        TestServer(app.application(Authenticator(Tokens(change_token("the-token"))), Audit(), HoldRoutes(hold_service)))
    ) as client:
        client.session.headers["Authorization"] = "Bearer the-token"
        yield client


async def test_a_hold_is_asked_for_and_answered_without_what_leads_to_candidates(client, hold_service):
    async with client.put(f"{PATH}/hold", json={**BODY, "timeout": 60, "before": [str(OLD)]}) as answer:
        text, data = await answer.text(), await answer.json()
    ((verb, request),) = hold_service.calls
    assert (verb, request) == (
        "begin",
        HoldRequest(hold_service.hold.route, HASH, Holder("me@host:1"), 60, before=(OLD,)),
    )
    assert HASH not in text
    assert (data["id"], data["phase"], data["held"]) == ("0123abcd", "verify", True)
    assert data["proxies"] == {"one": "serves", "two": "lags"}


async def test_promote_demote_and_end(client, hold_service):
    promotion = {"id": "0123abcd", "addresses": [str(HERE)], "keep": [str(OLD)], "timeout": 5}
    async with client.post(f"{PATH}/promote", json=promotion) as answer:
        assert (await answer.json())["serving"] == [str(HERE), str(OLD)]
    async with client.post(f"{PATH}/demote", json={"id": "0123abcd"}) as answer:
        assert (await answer.json())["phase"] == "verify"
    async with client.delete(f"{PATH}/hold") as answer:
        assert (await answer.json())["held"] is False
    assert hold_service.calls == [
        ("promote", "books-ms", "0123abcd", (HERE,), (OLD,), 5),
        ("demote", "books-ms", "0123abcd"),
        ("end", "books-ms", ""),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"key_sha256": "my-secret-key"}, "key_sha256 is not allowed"),
        ({"key_sha256": None}, "key_sha256 is not allowed"),
        ({"key": "my-secret-key"}, "the body has unknown fields: key"),
        ({"route": None}, "route is missing"),
        ({"route": {"paths": ["/a b"]}}, "is not allowed"),
        ({"route": {"service": "other", "paths": ["/a"]}}, "the body's service is not the URL's"),
        ({"holder": "me"}, "holder is not allowed"),
        ({"holder": {"name": ""}}, "holder needs a name"),
        ({"holder": {"name": "a\nb"}}, "printable text is"),
        ({"holder": {"name": "me", "kept": 1}}, "kept is true or false"),
        ({"timeout": -1}, "timeout -1 is not allowed"),
        ({"timeout": True}, "timeout True is not allowed"),
        ({"replace": "x"}, "must be the 8 digits of a hold"),
        ({"before": ["nowhere"]}, "before"),
    ],
)
async def test_what_is_not_allowed_is_refused_and_no_key_is_repeated(client, hold_service, change, why):
    async with client.put(f"{PATH}/hold", json={**BODY, **change}) as answer:
        text = await answer.text()
    assert (answer.status, why in text) == (400, True), text
    assert "my-secret-key" not in text
    assert hold_service.calls == []


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "hold"), ("DELETE", "hold"), ("POST", "promote"), ("POST", "demote")]
)
async def test_every_call_needs_the_token(client, hold_service, method, path):
    del client.session.headers["Authorization"]
    async with client.request(method, f"{PATH}/{path}", json=BODY) as answer:
        assert answer.status == 401
    assert hold_service.calls == []


async def test_a_conflict_is_409(client, hold_service):
    hold_service.failure = ConflictError("books-ms is held by me@host:1", "abort books-ms ends it")
    async with client.put(f"{PATH}/hold", json=BODY) as answer:
        assert (answer.status, (await answer.json())["error"]["hint"]) == (409, "abort books-ms ends it")

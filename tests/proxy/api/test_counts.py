"""The calls about counts of users."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.counts import UserCounts

PATH = "/v1/routes/books-ms/count"


@pytest.fixture
async def client(counting):
    async with TestClient(
        TestServer(app.application(Authenticator(Tokens(change_token("secret"))), Audit(), UserCounts(counting)))
    ) as client:
        yield client


async def test_from_begin_to_end(client, counting) -> None:
    token = {"Authorization": "Bearer secret"}
    assert (await client.post(PATH, json={"id": "4f1c"}, headers=token)).status == 200
    assert counting.running == {"books-ms": "4f1c"}
    users = {"users": {"requests": 4812, "failed": 2, "p99_ms": pytest.approx(12, rel=0.05), "exact": True}}
    assert await (await client.get(PATH, headers=token)).json() == users
    assert await (await client.delete(PATH, params={"id": "4f1c"}, headers=token)).json() == users
    assert (await client.get(PATH, headers=token)).status == 404


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_only_who_has_the_token_begins_and_ends_one(client, counting, method: str) -> None:
    answer = await client.request(method, PATH, params={"id": "4f1c"}, json={"id": "4f1c"})
    assert (answer.status, counting.running) == (401, {})


@pytest.mark.parametrize("identity", [None, "", "a b", "x" * 65, 7])
async def test_an_id_that_is_none_is_refused(client, identity) -> None:
    answer = await client.post(PATH, json={"id": identity}, headers={"Authorization": "Bearer secret"})
    assert (answer.status, "id is missing" in await answer.text()) == (400, True)

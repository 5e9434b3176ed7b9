"""Docker Flow: Proxy's documented calls, replayed: the same answers, and each difference has its name."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from tests.docs.docker_flow_exchanges import DIFFERENCES, EXCHANGES, Answer


@pytest.fixture
async def client(proxy_service, certificates):
    proxy_service.failing = "dead"
    proxy_service.tcp_ports = {"6379"}
    application = app.application(
        Authenticator(Tokens()),
        Audit(),
        DockerFlow(proxy_service, RouteWaiter(proxy_service, registry=None), certificates),
        Certificates(certificates),
    )
    async with TestClient(TestServer(application)) as client:
        yield client


def fits(answer: tuple[int, dict], expected: Answer) -> bool:
    status, fields = answer
    return status == expected.status and all(
        fields.get(name, "absent") == value for name, value in expected.fields.items()
    )


async def test_documented_calls_have_their_answers_or_a_difference_that_is_named(client, proxy_service):
    wrong = []
    for exchange in EXCHANGES:
        path = exchange.call if exchange.call.startswith("/") else f"/v1/docker-flow-proxy/{exchange.call}"
        proxy_service.calls.clear()
        async with client.request(exchange.method, path, data=exchange.body or None) as reply:
            json = reply.content_type == "application/json"
            answer = reply.status, await reply.json() if json else {"": "" if reply.status == 200 else None}
        if not fits(answer, exchange.here or exchange.there):
            wrong.append((exchange.call, answer))
        if exchange.difference and fits(answer, exchange.there):
            wrong.append((exchange.call, "is no difference"))
        if exchange.route is not None:
            route = next((call[1] for call in reversed(proxy_service.calls) if call[0] == "put"), None)
            found = {name: getattr(route, name, None) for name in exchange.route}
            if found != dict(exchange.route):
                wrong.append((exchange.call, found))
    assert wrong == []


def test_every_difference_is_shown_by_a_call():
    assert {exchange.difference for exchange in EXCHANGES} - {""} == DIFFERENCES.keys()

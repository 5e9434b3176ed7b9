"""Whatever a call holds, the daemon's API answers it: no bug's 500, and no number goes on that is none."""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections import Counter

import aiohttp
import pytest
import yarl
from aiohttp import web

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.counts import UserCounts
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.events import EventLog
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from tests.fixtures import fuzz_operations, fuzz_routes, wrong_json
from tests.fixtures.call_tables import API, API_QUERIES

TOKEN = {"Authorization": "Bearer the-token"}


@pytest.fixture
async def url(proxy_service, hold_service, counting, certificates):
    async with AsyncConsul("http://127.0.0.1:1", connections=1) as registry:
        authenticator = Authenticator(Tokens(change_token("the-token")))
        waiter = RouteWaiter(proxy_service, registry)
        runner = app.runner(
            app.application(
                authenticator,
                Audit(),
                Routes(proxy_service, waiter, authenticator),
                HoldRoutes(hold_service),
                UserCounts(counting),
                DockerFlow(proxy_service, waiter, certificates),
                Certificates(certificates),
                EventStream(EventLog(), Authenticator(Tokens())),
                app.Meta(proxy_service),
            )
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0])
        await runner.cleanup()


async def answered(session: aiohttp.ClientSession, url: str, method: str, path: str, body, headers) -> tuple[int, str]:
    """Status and text; 0 for a header that this client does not send."""
    with contextlib.suppress(UnicodeError):
        async with session.request(method, yarl.URL(url + path, encoded=True), data=body, headers=headers) as answer:
            return answer.status, await answer.text(errors="replace")
    return 0, ""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_call_is_answered(seed, url, proxy_service, hold_service):
    bad = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
        # There is a route, so that what follows gets past "there is none".
        assert (await answered(session, url, "PUT", "/v1/routes/books-ms", b'{"paths": ["/a"]}', TOKEN))[0] == 200
        for method, path, body, headers in wrong_json.calls(seed, 1000, API, API_QUERIES):
            status, text = await answered(session, url, method, path, body, {**TOKEN, **headers})
            if status >= 500:
                bad.append((method, path, body, headers, text))
    assert bad == []
    numbers = list(_numbers([*proxy_service.calls, *hold_service.calls]))
    assert numbers
    assert all(math.isfinite(number) and abs(number) <= 86400 for number in numbers)


def _numbers(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif hasattr(value, "timeout_server"):
        yield from (value.slow_start, value.timeout_server, value.timeout_tunnel)
    elif hasattr(value, "key_sha256"):
        yield value.timeout


def test_every_documented_call_is_generated_with_all_of_its_parameters():
    chance, made = random.Random(1), Counter[tuple[str, str]]()
    for _ in range(4000):
        method, path, _body, _headers = fuzz_operations.call(
            chance, ("books",), lambda own: fuzz_routes.flow(chance, own)
        )
        stem, _, query = path.partition("?")
        made.update((f"{method} {stem}", name) for name in ("", *re.findall(r"(?:^|&)(\w+)(?:[.]1)?=", query)))
    missing = [
        (operation.method, operation.path, name)
        for operation in fuzz_operations.operations()
        for name in ("", *(own.name for own in operation.parameters if own.place == "query"))
        if not made[f"{operation.method.upper()} {re.sub('{.*?}', 'books', operation.path)}", name]
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json; charset=bogus"}, b'{"paths": ["/a"]}', 200),
        ({"Content-Type": "application/json; charset=utf-16"}, b'{"paths": ["/a"]}', 200),
        ({}, b'{"paths": ["/\xff"]}', 400),
        ({}, '{"paths": ["/a"]}'.encode("utf-16"), 400),
        ({}, b'{"paths": ["/a"], "slow_start": NaN}', 400),
        ({}, b'{"paths": ["/a"], "timeout_server": 1e400}', 400),
        ({}, b"[" * 100_000, 400),
        ({"Origin": "http://["}, b'{"paths": ["/a"]}', 200),
    ],
)
async def test_bodies_and_headers_that_were_bugs(url, headers, body, status):
    async with aiohttp.ClientSession() as session:
        assert (await answered(session, url, "PUT", "/v1/routes/books-ms", body, {**TOKEN, **headers}))[0] == status


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded; charset=bogus", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize(("form", "status"), [(b"servicePath=/a&serviceName=%ff", 400), (b"servicePath=\xff", 400)])
async def test_forms_that_were_bugs(url, kind, form, status):
    path = "/v1/docker-flow-proxy/reconfigure?serviceName=books-ms"
    async with aiohttp.ClientSession() as session:
        answer = await answered(session, url, "POST", path, form, {**TOKEN, "Content-Type": kind})
        assert answer[0] == status
        assert '"Status":"NOK"' in answer[1].replace(" ", "")


async def test_without_a_token_a_broken_origin_is_a_page(proxy_service):
    runner = app.runner(app.application(Authenticator(Tokens()), Audit(), DockerFlow(proxy_service, None, None)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}".format(*runner.addresses[0])
    async with aiohttp.ClientSession() as session:
        path = "/v1/docker-flow-proxy/reload"
        assert (await answered(session, url, "POST", path, b"", {"Origin": "http://["}))[0] == 403
    await runner.cleanup()

"""A reconfigure that waits for a first instance, on a real registry."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.proxy.models import ConflictError
from tests.proxy.api.conftest import PREFIX


@pytest.fixture
def registry_url(consul_url) -> str:
    return consul_url


async def test_reconfigure_waits_for_the_first_instance_by_the_registrys_watch(call, proxy_service, consul_url) -> None:
    proxy_service.failure = ConflictError("no live instance of late-ms")
    task = asyncio.ensure_future(call("GET", f"{PREFIX}/reconfigure?serviceName=late-ms&servicePath=/late"))
    async with AsyncConsul(consul_url) as registry:
        await proxy_service.called.wait()
        await registry.register({"ID": "late-1", "Name": "late-ms", "Port": 1})
        status, answer = await task
        await registry.deregister("late-1")
    assert (status, answer["Status"]) == (200, "OK")
    assert [dry_run for _, _, _, dry_run in proxy_service.calls] == [False, True, False], "it did not poll"


async def test_the_wait_ends_with_the_reconcilers_own_reason(call, proxy_service) -> None:
    proxy_service.failure = ConflictError("no live instance of never-ms")
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=never-ms&servicePath=/never&wait=0.1")
    assert (status, answer["Message"]) == (409, "no live instance of never-ms")

"""gRPC through a rolling deploy: the calls that a deploy makes, instance by instance, under callers who never pause."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.holds import Holder
from jenkins_proxy.proxy.service.hold_service import HoldRequest
from tests.fixtures.grpc import GrpcCaller

CALLS = Route("calls", ("/greeter.",), proto="h2")
PATH = "/greeter.Greeter/Greet"
UNARY, STREAM, ENDLESS = 1, 5, 0


async def test_no_call_fails_in_a_rolling_deploy_but_those_without_an_end(
    daemon, grpc_service, enter, registry, wait_until
):
    one = await daemon()
    service, holds = one.proxy_service, one.controller.holds
    old = [await grpc_service(f"old{number}") for number in range(2)]
    for instance in old:
        await enter(instance, "calls")
    await service.put(CALLS)
    answered: list[str] = []
    failed: list[str] = []
    stopping = asyncio.Event()

    async def use(count: int) -> None:
        caller = GrpcCaller(one.port, PATH)
        while not stopping.is_set():
            try:
                names = await caller.call(count)
                assert len(names) == count and len(set(names)) == 1, names
                answered.append(names[0])
            except (OSError, EOFError, AssertionError) as error:
                failed.append(repr(error))
            await asyncio.sleep(0.01)
        caller.close()

    users = [asyncio.create_task(use(count)) for count in (UNARY, UNARY, STREAM, STREAM)]
    endless = asyncio.create_task(GrpcCaller(one.port, PATH).call(ENDLESS))
    await wait_until(lambda: {"old0", "old1"} <= set(answered))
    hold = (await holds.begin(HoldRequest(CALLS, hashlib.sha256(b"key").hexdigest(), Holder("me"), 60.0))).hold
    cut, new = 0, []
    for number, instance in enumerate(old):
        new.append(await grpc_service(f"new{number}"))
        await enter(new[-1], "calls")
        await wait_until(lambda: len(service.route("calls").instances) == len(old) + 1)
        assert new[-1].asked == 0
        await holds.promote(
            "calls", hold.id, [each.address for each in new], [each.address for each in old[number + 1 :]], 5
        )
        cut += (await service.drain("calls", [instance.address], 10, 0.5)).cut
        await registry.deregister(f"calls:{instance.address.port}")
        await instance.stop()
        # Another route comes meanwhile: a reload, at which HAProxy asks for new connections.
        await service.put(Route(f"other{number}", (f"/other{number}",)), allow_empty=True)
        await wait_until(lambda: new[-1].asked)
    await holds.end("calls", hold.id)
    stopping.set()
    await asyncio.gather(*users)
    assert failed == []
    assert cut == 1
    with pytest.raises(EOFError):
        await endless
    assert set(answered[-4:]) <= {"new0", "new1"}
    assert len(answered) > 40

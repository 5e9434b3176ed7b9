"""What the agent enters, when it takes it out, and what it survives."""

from __future__ import annotations

import asyncio
import socket
import uuid

import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.consul_server.server import EmbeddedRegistry
from jenkins_proxy.registrator.sync import Timing

HOSTNAME = socket.gethostname()


async def passing(consul, name) -> bool:
    found, _ = await consul.instances(name)
    return [instance.status for instance in found] == ["passing"]


async def failing(consul, name) -> bool:
    found, _ = await consul.instances(name)
    return [instance.status for instance in found] == ["critical"]


async def test_a_container_is_entered_and_taken_out(agent, client, engine, entry):
    agent(client)
    name = await engine.run("-e", "SERVICE_TAGS=a,b", "-e", "SERVICE_REGION=eu")
    row = await entry(client, name)
    assert (row["Address"], row["Port"]) == ("127.0.0.1", await engine.port(name))
    assert row["Service"] == "jenkins-proxy-tests", "the image's name"
    assert (row["Tags"], row["Meta"]) == (["b", "a"], {"region": "eu"})
    await engine("rm", "-f", name)
    await entry(client, name, there=False)


@pytest.mark.parametrize(
    ("publish", "address"),
    [
        ("8080", "127.0.0.1"),
        ("127.0.0.2::8080", "127.0.0.2"),
        ("[::1]::8080", "::1"),
        ("[::]::8080", "::1"),
    ],
)
async def test_with_a_host_address_an_entry_is_where_it_answers(agent, client, engine, entry, log, publish, address):
    agent(client, ip="", host_ip="127.0.0.1")
    name = await engine.run(publish=publish)
    row = await entry(client, name)
    assert (row["Address"], row["Port"]) == (address, await engine.port(name))
    _, writer = await asyncio.open_connection(row["Address"], row["Port"])
    writer.close()
    await writer.wait_closed()
    assert not [line for line in log.lines if "other machines cannot reach" in line]


async def test_a_real_consul_takes_it_too(agent, start_consul, engine, entry, until):
    url, _ = start_consul()
    async with AsyncConsul(url) as consul:
        agent(consul)
        name = await engine.run(
            "-e", f"SERVICE_NAME=r-{HOSTNAME}", "-e", "SERVICE_CHECK_TCP=true", "-e", "SERVICE_CHECK_INTERVAL=200ms"
        )
        await entry(consul, name)
        await until(lambda: passing(consul, f"r-{HOSTNAME}"))
        await engine("restart", "-t", "0", name)
        await entry(consul, name, await engine.port(name))
        await until(lambda: passing(consul, f"r-{HOSTNAME}"))
        await engine("rm", "-f", name)
        await entry(consul, name, there=False)
        await agent.end()


async def test_it_leaves_when_it_is_told_to_stop(agent, client, engine, entry):
    agent(client)
    name = await engine.run(command=("/bin/sh", "-c", "trap '' TERM; while true; do sleep 1; done"))
    await entry(client, name)
    stopping = asyncio.ensure_future(engine("stop", "-t", "300", name))
    await entry(client, name, there=False)
    assert await engine("inspect", "-f", "{{.State.Running}}", name) == "true"
    await engine("kill", name)
    await stopping


async def test_its_own_stop_signal_counts(agent, client, engine, entry):
    agent(client)
    name = await engine.run("--stop-signal", "SIGQUIT", command=("/bin/sh", "-c", "while true; do sleep 1; done"))
    await entry(client, name)
    await engine("kill", "-s", "QUIT", name)
    await entry(client, name, there=False)
    assert await engine("inspect", "-f", "{{.State.Running}}", name) == "true"


async def test_a_reload_is_no_stop(agent, client, engine, entry, log):
    agent(client)
    name = await engine.run(command=("/bin/sh", "-c", "trap '' HUP; while true; do sleep 1; done"))
    await entry(client, name)
    await engine("kill", "-s", "HUP", name)
    # Events come in their order: when the later one has had its effect, the signal would have had its own.
    await entry(client, await engine.run())
    await entry(client, name)
    assert not any(line.startswith("removed") and name in line for line in log.lines)


async def test_a_restart_gets_the_new_port(agent, client, engine, entry):
    agent(client)
    name = await engine.run()
    await entry(client, name)
    await engine("restart", "-t", "0", name)
    await entry(client, name, await engine.port(name))


async def test_a_container_made_anew_has_the_entry(agent, client, engine, entry, until):
    agent(client)
    name = f"r-{uuid.uuid4().hex[:8]}"
    for _ in range(5):
        await engine.run(name=name)
        port = await engine.port(name)
        # As compose v1 does it: the old one gives its name away before it goes.
        await engine("rename", name, f"{name}-old")
        await engine.run(name=name)
        latest = await engine.port(name)
        await engine("rm", "-f", f"{name}-old")
        await entry(client, name, latest)
        await entry(client, f"{name}-old", there=False)
        assert port != latest
        await engine("rm", "-f", name)
    await entry(client, name, there=False)


async def test_it_finds_what_ran_before_and_removes_what_is_left(agent, client, engine, entry):
    name = await engine.run()
    for service_id, meta in (
        (f"{HOSTNAME}:gone_1:80", {}),
        ("other:gone_1:80", {}),
        ("by-hand", {}),
        ("own-id", {"registrator_host": HOSTNAME}),
        ("own-id-2", {"registrator_host": "other"}),
    ):
        await client.register({"ID": service_id, "Name": "r-left", "Port": 1, "Meta": meta})
    await client.register({"ID": f"{HOSTNAME}:{name}:8080", "Name": "stale", "Port": 1, "Address": "127.0.0.1"})
    agent(client)
    await entry(client, name, await engine.port(name))
    await entry(client, "gone_1", there=False)
    rows = await client.agent_services()
    assert [service_id for service_id, row in rows.items() if row["Service"] == "r-left"] == [
        "by-hand",
        "other:gone_1:80",
        "own-id-2",
    ]


async def test_nothing_is_written_for_what_is_right_already(agent, client, engine, entry, until, log):
    agent(client)
    # A service of its own: containers of other tests come and go meanwhile.
    name = await engine.run("-e", f"SERVICE_NAME=r-{uuid.uuid4().hex[:8]}")
    await entry(client, name)
    await agent.end()
    index = (await client.instances((await entry(client, name))["Service"]))[1]
    log.lines.clear()
    agent(client)
    await entry(client, await engine.run("-e", "SERVICE_NAME=r-later"))
    assert not any(name in line for line in log.lines)
    assert (await client.instances((await entry(client, name))["Service"]))[1] == index


async def test_entries_that_the_registry_lost_come_back(agent, client, engine, entry):
    agent(client, timing=Timing(compare_every=0.2))
    name = await engine.run()
    row = await entry(client, name)
    await client.deregister(row["ID"])
    await entry(client, name)
    await client.register({**row, "Name": row["Service"], "Service": "", "Port": 1})
    await entry(client, name, row["Port"])


async def test_a_registry_that_comes_back_empty_is_filled_at_once(agent, registry, client, engine, entry, until, log):
    agent(client)
    name = await engine.run()
    await entry(client, name)
    await registry.stop()
    await until(lambda: any("no registry answers" in line for line in log.lines))
    other = await engine.run()
    again = EmbeddedRegistry()
    await again.start(port=registry.port)
    await entry(client, name)
    await entry(client, other)
    await agent.end()
    await client.close()
    await again.stop()


async def test_health_is_what_docker_says(agent, client, engine, entry, until):
    agent(client)
    service = f"r-{uuid.uuid4().hex[:8]}"
    name = await engine.run(
        "-e",
        f"SERVICE_NAME={service}",
        "--health-cmd",
        "test -f /ok",
        "--health-interval",
        "300ms",
        "--health-retries",
        "1",
    )
    await entry(client, name)
    [instance], _ = await client.instances(service)
    assert (instance.status, instance.checked) == ("critical", True)
    await engine("exec", name, "touch", "/ok")
    await until(lambda: passing(client, service))
    await engine("exec", name, "rm", "/ok")
    await until(lambda: failing(client, service))


async def test_a_new_container_does_not_inherit_health(agent, client, engine, entry, until):
    agent(client)
    service = f"r-{uuid.uuid4().hex[:8]}"
    options = ("-e", f"SERVICE_NAME={service}", "--health-cmd", "test -f /ok", "--health-interval", "300ms")
    name = await engine.run(*options)
    await entry(client, name)
    await engine("exec", name, "touch", "/ok")
    await until(lambda: passing(client, service))
    # Made anew while no agent looks: the next one finds the old entry, passing, under the new one's ID.
    await agent.end()
    await engine("rm", "-f", name)
    await engine.run(*options, name=name)
    seen = asyncio.ensure_future(_statuses(client, service))
    agent(client)
    port = await engine.port(name)
    await entry(client, name, port)
    await until(lambda: failing(client, service))
    seen.cancel()
    assert (port, "passing") not in await seen


async def _statuses(consul, service) -> set[tuple[int, str]]:
    """Every state of a service's instances until cancelled."""
    found, index = set(), 0
    try:
        while True:
            instances, index = await consul.instances(service, index=index, wait=10)
            found |= {(instance.address.port, instance.status) for instance in instances}
    except asyncio.CancelledError:
        return found


async def test_a_slow_registry_call_holds_up_nothing_else(agent, client, engine, entry, monkeypatch):
    slow, register = asyncio.Event(), client.register

    async def one_is_slow(service):
        if "r-slow" in service["Name"]:
            await slow.wait()
        await register(service)

    monkeypatch.setattr(client, "register", one_is_slow)
    agent(client)
    name = await engine.run("-e", "SERVICE_NAME=r-slow")
    other = await engine.run()
    await entry(client, other)
    await engine("rm", "-f", other)
    await entry(client, other, there=False)
    await entry(client, name, there=False)
    slow.set()
    await entry(client, name)


async def test_a_container_that_ends_while_it_is_entered_is_taken_out(agent, client, engine, entry, until, monkeypatch):
    slow, register, asked = asyncio.Event(), client.register, []

    async def one_is_slow(service):
        if "r-slow" in service["Name"]:
            asked.append(service)
            await slow.wait()
        await register(service)

    monkeypatch.setattr(client, "register", one_is_slow)
    agent(client)
    name = await engine.run("-e", "SERVICE_NAME=r-slow")
    await until(lambda: asked)
    await engine("rm", "-f", name)
    other = await engine.run()
    await entry(client, other)
    slow.set()
    await entry(client, name, there=False)


async def test_a_refused_entry_is_told_once_and_holds_up_nothing_else(agent, client, engine, entry, until, log):
    agent(client, timing=Timing(compare_every=0.1))
    name = await engine.run("-e", "SERVICE_CHECK_SCRIPT=true")
    await until(lambda: [line for line in log.lines if name in line and "Scripts are disabled" in line])
    await entry(client, await engine.run())
    assert len([line for line in log.lines if name in line]) == 1

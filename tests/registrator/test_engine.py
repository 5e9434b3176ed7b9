"""How the agent finds its engine, loses it and has it back; and the command around it."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.errors import UsageError
from jenkins_proxy.registrator.agent import run_agent

SOCKET = "/var/run/docker.sock"
HOSTNAME = socket.gethostname()


class Relay:
    """A TCP address of the engine, which can be cut off."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader, writer) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(SOCKET)
        self._writers |= {writer, engine_writer}
        await asyncio.gather(self._copy(reader, engine_writer), self._copy(engine_reader, writer))
        self._writers -= {writer, engine_writer}

    async def _copy(self, reader, writer) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


async def test_it_survives_the_loss_of_the_event_stream(agent, client, engine, until, log):
    relay = Relay()
    await relay.start()
    agent(client, Endpoint(f"tcp://127.0.0.1:{relay.port}", "the test"))
    gone, kept = await engine.run(), await engine.run()

    async def names():
        return {service_id.split(":")[1] for service_id in await client.agent_services()}

    async def both():
        return {gone, kept} <= await names()

    await until(both)
    await relay.cut()
    await until(lambda: any("event stream" in line or "no Docker Engine" in line for line in log.lines))
    await engine("rm", "-f", gone)
    new = await engine.run()
    await relay.start()

    async def caught_up():
        there = await names()
        return {new, kept} <= there and gone not in there

    await until(caught_up)
    # The IDs begin with the engine's host: agents for several engines on one machine share the machine's name.
    assert f"127.0.0.1:{kept}:8080" in await client.agent_services()
    await agent.end()
    await relay.cut()


@pytest.fixture
def certificates(loopback_certificate) -> Path:
    """A folder with one certificate for both sides and its authority."""
    return loopback_certificate.cert.parent


async def test_an_engine_with_tls(agent, client, engine, until, certificates):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    relay = Relay(context)
    await relay.start()
    agent(client, Endpoint(f"tcp://127.0.0.1:{relay.port}", "the test", str(certificates)))
    name = await engine.run()

    async def there():
        return f"127.0.0.1:{name}:8080" in await client.agent_services()

    await until(there)
    await agent.end()
    await relay.cut()


async def test_an_engine_that_is_not_there_is_waited_for(agent, client, engine, entry, until, log, free_port):
    relay = Relay()
    relay.port = free_port()
    agent(client, Endpoint(f"tcp://127.0.0.1:{relay.port}", "DOCKER_HOST"))
    await until(lambda: log.lines)
    assert log.lines[0] == f"no Docker Engine answers at tcp://127.0.0.1:{relay.port}: connection refused; trying again"
    await relay.start()
    name = await engine.run()

    async def there():
        return f"127.0.0.1:{name}:8080" in await client.agent_services()

    await until(there)
    await agent.end()
    await relay.cut()


async def test_a_host_name_that_does_not_resolve_needs_an_address(client):
    with pytest.raises(UsageError, match="the host name nobody.invalid does not resolve") as caught:
        await run_agent(Endpoint("tcp://nobody.invalid:2375", "the test"), client)
    assert "--ip" in caught.value.hint


async def test_the_command_ends_cleanly_and_leaves_its_entries(registry, client, engine, entry):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jenkins_proxy",
        "registrator",
        "--ip",
        "127.0.0.1",
        "--consul",
        registry.url,
        stderr=subprocess.PIPE,
    )
    name = await engine.run()
    await entry(client, name)
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    assert process.returncode == 143
    assert f"added {HOSTNAME}:{name}:8080" in err.decode()
    assert err.decode().splitlines()[-1].endswith(" INFO    stopped by SIGTERM")
    assert "Traceback" not in err.decode()
    await entry(client, name)


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "example.com", "1.2.3", ""])
async def test_the_command_refuses_an_address_that_is_none(ip):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jenkins_proxy", "registrator", f"--ip={ip}", stderr=subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert f"{ip!r} is not an address" in err.decode()

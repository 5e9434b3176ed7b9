"""A Consul that is started again reads its log anew, and is asked meanwhile: what was true long ago is no answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess

import aiohttp
import pytest

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import RegistryError

CHANGES, KEYS = 150, 60
"""A log that takes a server long enough to read: 60 keys are as many as a transaction may change with another one."""


@pytest.fixture
def server(consul_program, free_port, tmp_path):
    """A server with data: ``start()`` starts it, ``kill()`` ends it at once, and ``url`` stays the same."""

    class Server:
        ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        url = f"http://127.0.0.1:{ports['http']}"

        def start(self) -> None:
            config = tmp_path / "consul.json"
            settings = {
                "ports": {"dns": -1, "grpc": -1, **self.ports},
                "bind_addr": "127.0.0.1",
                "data_dir": str(tmp_path / "data"),
                "server": True,
                "bootstrap_expect": 1,
                "performance": {"raft_multiplier": 1},
            }
            config.write_text(json.dumps(settings))
            with (tmp_path / "log").open("ab") as log:
                argv = [consul_program, "agent", "-config-file", str(config)]
                self.process = subprocess.Popen(argv, stdout=log, stderr=log)

        def kill(self) -> None:
            self.process.kill()
            self.process.wait(timeout=10)

    server = Server()
    server.start()
    yield server
    server.kill()


async def change(url: str, number: int, session: aiohttp.ClientSession) -> None:
    values = {"count": str(number).encode(), **{f"filler/{key}": os.urandom(300) for key in range(KEYS)}}
    operations = [
        {"KV": {"Verb": "set", "Key": key, "Value": base64.b64encode(value).decode()}} for key, value in values.items()
    ]
    async with session.put(f"{url}/v1/txn", json=operations) as answer:
        assert answer.status == 200, await answer.text()


async def test_it_is_believed_once_it_knows_what_it_knew(server, until):
    async with AsyncConsul(server.url) as consul, aiohttp.ClientSession() as session:

        async def leads() -> bool:
            with contextlib.suppress(RegistryError):
                return bool(await consul.leader())
            return False

        await until(leads)
        for number in range(CHANGES):
            await change(server.url, number, session)
        pairs, index = await consul.kv_watch("count")
        server.kill()
        server.start()
        seen = []

        async def believed() -> bool:
            with contextlib.suppress(RegistryError):
                ways = consul.kv_get("count"), consul.kv_watch("count"), consul.kv_watch("count", index=index, wait=1)
                pair, (now, _), (later, _) = await asyncio.gather(*ways)
                seen.append({pair.value, *(own.value for own in (*now, *later))})
            return bool(seen)

        await until(believed)
    assert pairs[0].value == b"%d" % (CHANGES - 1)
    assert seen == [{pairs[0].value}]

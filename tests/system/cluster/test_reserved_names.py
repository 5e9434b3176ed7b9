"""A Consul agent that has lost its data and is another node to its servers: who registers there is told."""

from __future__ import annotations

import asyncio
import json
import logging

import requests

from jenkins_proxy.cli import main
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.registrator.catalog import CatalogWatch
from jenkins_proxy.registrator.sync import Timing

ENTRY = {"ID": "h:books:8080", "Name": "books", "Address": "10.0.0.1", "Port": 8080}


def node_id(url: str) -> str:
    return requests.get(url + "/v1/agent/self", timeout=5).json()["Config"]["NodeID"]


def seen(server) -> bool:
    rows = requests.get(server.url + "/v1/catalog/service/books", timeout=5).json()
    return [row["ServiceID"] for row in rows] == [ENTRY["ID"]]


async def look(url: str, times: int) -> None:
    """As the registrator does, but sooner."""
    async with AsyncConsul(url) as registry:
        watch = CatalogWatch(registry, lambda: [ENTRY["ID"]], Timing(catalog_within=0.5))
        for _ in range(times):
            await watch.look()
            await asyncio.sleep(0.6)


def test_entries_that_the_catalog_refuses_are_said_and_the_way_out_is_one(consul_server, wait_for, caplog, capsys):
    def said_by_doctor() -> str:
        main(["doctor", "--json", "--consul", node.url])
        (found,) = [one for one in json.loads(capsys.readouterr().out)["findings"] if one["name"] == "consul"]
        return f"{found['ok']}: {found['answer']}"

    caplog.set_level(logging.INFO, "jenkins_proxy.registrator")
    server = consul_server(keep=True, node_name="server")
    node = consul_server(join=server, node_name="node-1")
    with Consul(node.url) as agent:
        agent.register(ENTRY)
    wait_for(lambda: seen(server), "the entry in the catalog")
    asyncio.run(look(node.url, 2))
    assert caplog.messages == []
    assert said_by_doctor().startswith("True: Consul 1.")

    old = node_id(node.url)
    node.lose_data()
    node.start(wait_for)
    with Consul(node.url) as agent:
        agent.register(ENTRY)
    asyncio.run(look(node.url, 3))
    (line,) = caplog.messages
    assert f"has the node ID {node_id(node.url)}, and the catalog keeps that name for {old}" in line
    assert line in said_by_doctor()

    # What the line says to do.
    requests.put(server.url + "/v1/catalog/deregister", json={"Node": "node-1"}, timeout=5).raise_for_status()
    wait_for(lambda: seen(server), "the entry in the catalog again", 150)
    assert said_by_doctor().startswith("True: Consul 1.")

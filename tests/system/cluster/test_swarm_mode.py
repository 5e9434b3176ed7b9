"""Swarm mode over two nodes with a real Consul and an agent for each node: the tasks of both stand behind one route."""

from __future__ import annotations

import pytest

from tests.system.cluster.swarm_books import write


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("swarm")


def test_deployed_on_both_nodes_scaled_and_rolled_back(books, cluster):
    both = {cluster.address(1), cluster.address(2)}
    write(books, 1, 2)
    deployed = books.deploy()
    assert (deployed.code, deployed.report.get("orchestrator")) == (0, "stack"), deployed.text
    assert deployed.nodes == both

    scaled = books.run("scale", "3")
    assert (scaled.code, len(scaled.report["instances"]), scaled.nodes) == (0, 3, both), scaled.text

    write(books, 2, 3, command=["/bin/busybox", "sh", "-c", "echo no database; exit 3"])
    failed = books.deploy()
    assert (failed.code, failed.report["rolled_back"]) == (5, True), failed.text
    assert books.daemon.get("/books/") == (200, "version 1\n")
    serving = [one for one in books.daemon.client.get_route("books")["instances"] if one["serving"]]
    assert {one["address"] for one in serving} == both

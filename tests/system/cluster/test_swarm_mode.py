"""Swarm mode over two nodes with a real Consul and an agent for each node: the tasks of both stand behind one route."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("swarm")


@pytest.fixture
def books(cluster, consul_server, start_daemon, start_agent, delivery, stack_gone):
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    environment = {"CONSUL_HTTP_ADDR": server.url, "JENKINS_PROXY_URL": daemon.api, "JENKINS_PROXY_ENTRY": daemon.entry}
    for number in (1, 2):
        start_agent(cluster, number, **environment)
    made = delivery("books", **environment, DOCKER_HOST=cluster.host(1))
    made.daemon = daemon
    yield made
    stack_gone(cluster.host(1), "books")


def write(books, version: int, replicas: int, **app: object) -> None:
    books.write(
        version, ports=[{"target": 8080, "mode": "host"}], stop_grace_period="1s", deploy={"replicas": replicas}, **app
    )


def test_deployed_on_both_nodes_scaled_rolled_exchanged_and_rolled_back(books, cluster):
    both = {cluster.address(1), cluster.address(2)}
    write(books, 1, 2)
    deployed = books.deploy()
    assert (deployed.code, deployed.report.get("orchestrator")) == (0, "stack"), deployed.text
    assert deployed.nodes == both

    scaled = books.run("scale", "3")
    assert (scaled.code, len(scaled.report["instances"]), scaled.nodes) == (0, 3, both), scaled.text

    write(books, 2, 3)
    rolled = books.deploy("--strategy", "rolling")
    assert (rolled.code, len(rolled.report["instances"]), rolled.nodes) == (0, 3, both), rolled.text
    assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 2\n")}

    write(books, 1, 3)
    exchanged = books.deploy("--strategy", "blue-green")
    assert (exchanged.code, len(exchanged.report["instances"]), exchanged.nodes) == (0, 3, both), exchanged.text
    assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 1\n")}

    write(books, 2, 3, command=["/bin/busybox", "sh", "-c", "echo no database; exit 3"])
    failed = books.deploy()
    assert (failed.code, failed.report["rolled_back"]) == (5, True), failed.text
    assert books.daemon.get("/books/") == (200, "version 1\n")
    serving = [one for one in books.daemon.client.get_route("books")["instances"] if one["serving"]]
    assert {one["address"] for one in serving} == both

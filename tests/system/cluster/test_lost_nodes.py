"""A node of the swarm is drained, cut off, and killed in mid-deploy: users meet the instances of the other."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid

import pytest

# The manager takes no containers, as the article's swarm-master.
MASTER, LOST, LEFT = 1, 2, 3


@pytest.fixture(scope="module")
def cluster(start_cluster, docker):
    made = start_cluster("swarm", nodes=3)
    argv = [docker, "-H", made.host(MASTER), "node", "update", "--availability", "drain", f"{made.name}-{MASTER}"]
    subprocess.run(argv, check=True, capture_output=True)
    return made


@pytest.fixture
def books(cluster, consul_server, start_daemon, start_agent, delivery, docker):
    """A service of the test's own with an instance on each of the two nodes: Swarm spreads only what is new."""
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    environment = {"CONSUL_HTTP_ADDR": server.url, "JENKINS_PROXY_URL": daemon.api, "JENKINS_PROXY_ENTRY": daemon.entry}
    for number in (LOST, LEFT):
        start_agent(cluster.host(number), cluster.address(number), **environment)
    made = delivery(f"books-{uuid.uuid4().hex[:6]}", **environment, DOCKER_HOST=cluster.host(MASTER))
    made.daemon = daemon
    write(made, 1)
    deployed = made.deploy()
    assert (deployed.code, deployed.nodes) == (0, {cluster.address(LOST), cluster.address(LEFT)}), deployed.text
    yield made
    manager(docker, cluster, "stack", "rm", made.service)


def write(books, version: int) -> None:
    ports = [{"target": 8080, "mode": "host"}]
    books.write(version, ports=ports, stop_grace_period="1s", deploy={"replicas": 2})


def serving(books) -> set[str]:
    return {one["address"] for one in books.daemon.client.get_route(books.service)["instances"] if one["serving"]}


def here(books, cluster) -> int:
    """How many instances the node that is left serves."""
    state = books.daemon.client.get_route(books.service)
    return len([one for one in state["instances"] if one["serving"] and one["address"] == cluster.address(LEFT)])


def answers(books, count: int = 20) -> set[tuple[int, str]]:
    return {books.daemon.get(f"/{books.service}/") for _ in range(count)}


def manager(docker, cluster, *arguments: str) -> str:
    argv = [docker, "-H", cluster.host(MASTER), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_a_drained_node_has_nothing_and_the_other_has_all(books, cluster, docker, wait_for):
    manager(docker, cluster, "node", "update", "--availability", "drain", f"{cluster.name}-{LOST}")
    wait_for(lambda: serving(books) == {cluster.address(LEFT)}, "the other node alone to serve")
    assert answers(books) == {(200, "version 1\n")}
    manager(docker, cluster, "node", "update", "--availability", "active", f"{cluster.name}-{LOST}")


def test_a_node_that_is_cut_off_is_asked_by_nobody_until_its_instances_are_gone(books, cluster, wait_for):
    cluster.cut_off(LOST)
    # The first who is sent there waits for a connection, and is sent to the other node: that takes seconds.
    assert answers(books) == {(200, "version 1\n")}
    wait_for(lambda: here(books, cluster) == 2, "Swarm to replace what was there", 60)
    cluster.cut_off(LOST, off=False)
    wait_for(lambda: serving(books) == {cluster.address(LEFT)}, "the entries of before to go", 60)
    assert answers(books) == {(200, "version 1\n")}


def test_a_node_that_dies_in_mid_deploy_is_replaced_and_the_deploy_goes_on(books, cluster, docker, wait_for):
    write(books, 2)
    ended = []
    deploy = threading.Thread(target=lambda: ended.append(books.deploy("--timeout", "80")))
    deploy.start()
    wait_for(lambda: "_app-standby" in manager(docker, cluster, "service", "ls"), "the standby")
    cluster.kill(LOST)
    # What was on its way to it is lost.
    time.sleep(1)
    met = set()
    while deploy.is_alive():
        met |= answers(books, 5)
        time.sleep(0.2)
    assert (ended[0].code, ended[0].nodes) == (0, {cluster.address(LEFT)}), ended[0].text
    assert met <= {(200, "version 1\n"), (200, "version 2\n")}
    assert answers(books) == {(200, "version 2\n")}

"""Compose against the manager of classic Swarm, the article's own cluster, where its program is on PATH."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest
import requests

from tests.fixtures.traffic import asking

NODES = (1, 2)


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("noswarm")


@pytest.fixture
def classic_swarm_program(program):
    return program("swarm")


@pytest.fixture
def manager(classic_swarm_program, cluster, emptied, free_port, wait_for, tmp_path):
    """The manager of both nodes: its ``tcp://``."""
    for node in NODES:
        emptied(cluster.host(node))
    address = f"127.0.0.1:{free_port()}"
    nodes = ",".join(cluster.host(node).removeprefix("tcp://") for node in NODES)
    # `spread` looks at the containers of a node: as many on each.
    argv = [classic_swarm_program, "manage", "-H", f"tcp://{address}", "--strategy", "spread", f"nodes://{nodes}"]
    with (tmp_path / "swarm.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)

    def ready() -> bool:
        assert process.poll() is None, (tmp_path / "swarm.log").read_text()
        try:
            return requests.get(f"http://{address}/info", timeout=5).json().get("NCPU", 0) > 0
        except requests.RequestException:
            return False

    wait_for(ready, "the manager to have its nodes")
    yield f"tcp://{address}"
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture
def books(manager, cluster, consul_server, start_daemon, start_agent, delivery, compose_v1):
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    environment = {"CONSUL_HTTP_ADDR": server.url, "JENKINS_PROXY_URL": daemon.api, "JENKINS_PROXY_ENTRY": daemon.entry}
    for node in NODES:
        start_agent(cluster, node, **environment)
    made = delivery("books", **environment, DOCKER_HOST=manager)
    made.daemon = daemon
    return made


def test_deployed_spread_rolled_and_exchanged_without_a_lost_request(books, cluster):
    both = {cluster.address(node) for node in NODES}
    # The manager has no network of its own where its nodes have no key-value store.
    books.write(1, network_mode="bridge")
    deployed = books.deploy()
    assert (deployed.code, deployed.report.get("orchestrator")) == (0, "compose-v1"), deployed.text

    answers: Counter[str] = Counter()

    def user() -> None:
        try:
            answers[str(books.daemon.get("/books/")[0])] += 1
        except requests.RequestException as error:
            answers[type(error).__name__] += 1

    with asking(user, user):
        scaled = books.run("scale", "3")
        assert (scaled.code, len(scaled.report["instances"]), scaled.nodes) == (0, 3, both), scaled.text

        books.write(2, network_mode="bridge")
        rolled = books.deploy("--strategy", "rolling")
        assert (rolled.code, len(rolled.report["instances"]), rolled.nodes) == (0, 3, both), rolled.text
        assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 2\n")}

        books.write(1, network_mode="bridge")
        exchanged = books.deploy("--strategy", "blue-green")
        assert (exchanged.code, len(exchanged.report["instances"]), exchanged.nodes) == (0, 3, both), exchanged.text
        assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 1\n")}
    assert set(answers) == {"200"}, answers

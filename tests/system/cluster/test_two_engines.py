"""Two engines behind one Consul and one proxy, each with an agent of its own and driven by compose over TCP."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("noswarm")


@pytest.fixture
def proxy(consul_server, start_daemon):
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    daemon.environment = {
        "CONSUL_HTTP_ADDR": server.url,
        "JENKINS_PROXY_URL": daemon.api,
        "JENKINS_PROXY_ENTRY": daemon.entry,
    }
    return daemon


@pytest.fixture
def nodes(cluster, proxy, start_agent, delivery, emptied):
    """A delivery of the service ``books`` to each engine."""
    made = []
    for number in (1, 2):
        emptied(cluster.host(number))
        start_agent(cluster, number, **proxy.environment)
        made.append(delivery("books", **proxy.environment, DOCKER_HOST=cluster.host(number)))
    return made


def answers(proxy) -> set[str]:
    return {proxy.get("/books/")[1] for _ in range(8)}


@pytest.mark.parametrize("flavour", ["compose-v2"])
def test_an_engine_is_deployed_and_scaled_without_touching_what_the_other_serves(flavour, nodes, proxy, cluster):
    first, second = nodes
    for delivery in nodes:
        delivery.write(1, network_mode="bridge")
        deployed = delivery.deploy("--orchestrator", flavour)
        assert deployed.code == 0, deployed.text
        assert deployed.report["orchestrator"] == flavour
    assert answers(proxy) == {"version 1\n"}

    second.write(2, network_mode="bridge")
    rolled = second.deploy("--strategy", "rolling", "--orchestrator", flavour)
    assert (rolled.code, rolled.nodes) == (0, {cluster.address(2)}), rolled.text
    assert answers(proxy) == {"version 1\n", "version 2\n"}

    scaled = first.run("scale", "3", "--orchestrator", flavour)
    assert (scaled.code, len(scaled.report["instances"]), scaled.nodes) == (0, 3, {cluster.address(1)}), scaled.text
    state = proxy.client.get_route("books")
    assert len([one for one in state["instances"] if one["serving"]]) == 4


def test_a_failed_deploy_is_rolled_back_on_its_engine(nodes, proxy, cluster):
    first, second = nodes
    for delivery in nodes:
        delivery.write(1)
        deployed = delivery.deploy()
        assert deployed.code == 0, deployed.text

    second.write(2, command=["/bin/busybox", "sh", "-c", "echo no database; exit 3"])
    failed = second.deploy("--strategy", "recreate")

    assert failed.code == 5, failed.text
    assert failed.report["rolled_back"] is True
    assert f"proven by {cluster.address(2)}" in failed.report["error"]["message"]
    assert answers(proxy) == {"version 1\n"}
    assert len(proxy.client.get_route("books")["instances"]) == 2


def test_without_an_agent_on_its_engine_the_wait_says_where_one_is_missing(proxy, cluster, delivery, emptied):
    emptied(cluster.host(1))
    books = delivery("books", **proxy.environment, DOCKER_HOST=cluster.host(1))
    books.write(1)
    ended = books.deploy("--timeout", "5")
    assert ended.code == 3, ended.text
    assert f"no entry at {cluster.address(1)}:" in ended.report["error"]["message"]
    assert "is a Registrator running" in ended.report["error"]["hint"]

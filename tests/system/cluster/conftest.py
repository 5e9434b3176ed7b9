"""More than one machine: engines in network namespaces, a Consul that can be stopped, daemons and agents beside it."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import urllib.request
import uuid

import pytest

from tests.fixtures.agents import AGENTS
from tests.system.cluster.delivery import Delivery
from tests.system.cluster.engines import Cluster
from tests.system.cluster.processes import ConsulServer, Daemon, Origin

# Nodes that are lost take Swarm half a minute to notice, Consul looks at its nodes each minute, and all kinds of faults
# take two minutes, as do two strategies on a Swarm: only `bash tests/run cluster` has that time.
_LONG = ["test_lost_nodes.py", "test_reserved_names.py", "test_soak.py", "test_swarm_strategies.py"]
collect_ignore = [] if os.environ.get("TESTS_CLUSTER") == "all" else _LONG


@pytest.fixture(scope="session")
def image(books_image):
    """``image(1)`` and ``image(2)`` are two versions of an image that answers ``/$BOOKS/`` with its version."""
    return books_image


_CLUSTERS = itertools.count()


@pytest.fixture(scope="module")
def start_cluster(repository, image, tmp_path_factory):
    """``start_cluster("swarm")`` or ``("noswarm")`` is two engines that have the image; all end with the module.

    With ``certificates``, which gives the folder of a certificate for the nodes' addresses, they insist on TLS.
    """
    started = []

    def run(script: str, environment: dict) -> None:
        text = f". {repository}/resources/environments/cluster.sh; {script}"
        answer = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr

    def start(joined: str, nodes: int = 2, certificates=None) -> Cluster:
        # The process number keeps two runs on one machine apart, and the count the clusters of one run.
        number = os.getpid() * 8 + next(_CLUSTERS)
        network = f"10.{100 + number // 256 % 50}.{number % 256}"
        environment = {
            **os.environ,
            "CLUSTER_NAME": f"cs-{number}",
            "CLUSTER_NET": network,
            "CLUSTER_DIR": str(tmp_path_factory.mktemp("cluster")),
        }
        if certificates:
            addresses = [Cluster(network).address(node + 1) for node in range(nodes)]
            environment["CLUSTER_TLS"] = certificates(*addresses)
        started.append(environment)
        run(f"cluster_up {nodes} {joined} && cluster_load {image(1)} && cluster_load {image(2)}", started[-1])
        again = functools.partial(run, environment=environment)
        return Cluster(network, environment["CLUSTER_NAME"], environment["CLUSTER_DIR"], again)

    try:
        yield start
    finally:
        for environment in started:
            run("cluster_down", environment)


def _consul_servers(consul_program, free_port, wait_for, tmp_path_factory):
    """``consul_server(keep=True)`` starts a Consul of the test's own, whose data outlive its stop."""
    started = []

    def start(*, keep: bool = False, https: bool = False, **more) -> ConsulServer:
        ports = {name: free_port() for name in ("server", "serf_lan", "serf_wan", "https" if https else "http")}
        folder = tmp_path_factory.mktemp("consul")
        made = ConsulServer(consul_program, folder, {"http": -1, **ports}, keep=keep, **more)
        started.append(made)
        made.start(wait_for)
        return made

    yield start
    for server in started:
        server.stop()


consul_server = pytest.fixture(_consul_servers)
module_consul_server = pytest.fixture(scope="module")(_consul_servers)


def _daemons(haproxy, free_port, wait_for, tmp_path_factory):
    """``start_daemon("--consul", url, JENKINS_PROXY_TOKEN="x")`` is a ``serve`` with its API on loopback."""
    started = []

    def start(*arguments: str, scheme: str = "http", **environment: str) -> Daemon:
        api, entry = (f"127.0.0.1:{free_port()}" for _ in range(2))
        folder = tmp_path_factory.mktemp("serve")
        argv = [
            "serve",
            "--listen",
            api,
            "--bind",
            entry,
            "--state-dir",
            str(folder / "state"),
            "--stop-haproxy",
            *arguments,
        ]
        path = f"{os.environ['PATH']}:{os.path.dirname(haproxy)}"
        made = Daemon(
            argv,
            {**os.environ, "PATH": path, **environment},
            f"{scheme}://{api}",
            f"http://{entry}",
            folder / "log",
        )
        started.append(made)
        made.start(wait_for)
        return made

    yield start
    for daemon in started:
        daemon.stop()


start_daemon = pytest.fixture(_daemons)
module_start_daemon = pytest.fixture(scope="module")(_daemons)


@pytest.fixture(params=AGENTS)
def start_agent(request):
    """``start_agent(cluster, 1, CONSUL_HTTP_ADDR=…)`` enters the containers of a node: ours, and Registrator."""
    start = request.getfixturevalue(request.param)

    def start_on(cluster: Cluster, node: int, **environment: str) -> subprocess.Popen:
        on = cluster.inside(node) if request.param == "real_registrator" else None
        return start(cluster.host(node), cluster.address(node), on=on, **environment)

    return start_on


@pytest.fixture
def delivery(image, tmp_path):
    """``delivery("books", DOCKER_HOST=…)`` is a service of the test's own, with where things are."""

    def make(service: str, **environment: str) -> Delivery:
        folder = tmp_path / f"{service}-{uuid.uuid4().hex[:4]}"
        folder.mkdir()
        return Delivery(service, image, folder, **environment)

    return make


@pytest.fixture
def emptied(docker):
    """``emptied(host)`` has an engine rid of its containers and networks after the test; the engine is ours alone."""
    hosts = []
    yield hosts.append
    for host in hosts:
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-fv"]),
            (["network", "ls", "-qf", "type=custom"], ["network", "rm"]),
        ):
            argv = [docker, "-H", host]
            found = subprocess.run([*argv, *listing], capture_output=True, text=True, check=True).stdout.split()
            if found:
                subprocess.run([*argv, *removal, *found], capture_output=True, check=True)


@pytest.fixture
def origins():
    """``origins("one", "two")`` starts instances."""
    started = []

    def start(*names: str) -> list[Origin]:
        made = [Origin(name) for name in names]
        started.extend(made)
        return made

    yield start
    for origin in started:
        origin.stop()


@pytest.fixture(scope="session")
def curl():
    """``curl(url)`` is what the article's ``curl`` gets: status and text."""

    def ask(url: str) -> tuple[int, str]:
        request = urllib.request.Request(url, headers={"User-Agent": "curl/7.88.1"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return ask


@pytest.fixture
def books(cluster, consul_server, start_daemon, start_agent, delivery, stack_gone):
    """A stack that can be deployed to the ``cluster`` of the test's module, which is in Swarm mode."""
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    environment = {"CONSUL_HTTP_ADDR": server.url, "JENKINS_PROXY_URL": daemon.api, "JENKINS_PROXY_ENTRY": daemon.entry}
    for number in (1, 2):
        start_agent(cluster, number, **environment)
    made = delivery("books", **environment, DOCKER_HOST=cluster.host(1))
    made.daemon = daemon
    yield made
    stack_gone(cluster.host(1), "books")

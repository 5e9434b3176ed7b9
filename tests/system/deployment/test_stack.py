"""A stack on a Swarm-mode cluster of two nodes: deployed, rolled and scaled behind the proxy."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.fixtures.compose_keys import file
from tests.fixtures.compose_keys.key import MEANINGS
from tests.fixtures.compose_keys.table import KEYS


@pytest.fixture(scope="module")
def cluster(docker, repository, image, tmp_path_factory):
    """``cluster(1)`` is the ``tcp://`` of the manager, ``cluster(2)`` that of the other node; both have the images."""
    number = os.getpid()
    network = f"10.{150 + number // 256 % 50}.{number % 256}"
    environment = {
        **os.environ,
        "CLUSTER_NAME": f"f2-{number}",
        "CLUSTER_NET": network,
        "CLUSTER_DIR": str(tmp_path_factory.mktemp("cluster")),
    }

    def run(script: str) -> None:
        text = f". {repository}/resources/environments/cluster.sh; {script}"
        answer = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr

    try:
        run(f"cluster_up 2 && cluster_load {image(1)} && cluster_load {image(2)}")
        hosts = {node: f"tcp://{network}.{10 + node}:2375" for node in (1, 2)}
        for host in hosts.values():
            # From now on a container's port for IPv6 is the one that another has for IPv4.
            subprocess.run(
                [docker, "-H", host, "run", "-d", "-p", "127.0.0.1::8080", image(1)], check=True, capture_output=True
            )
        yield hosts.get
    finally:
        run("cluster_down")


@pytest.fixture
def stack(cluster, start_machine, project, stack_gone):
    """A project that is deployed as a stack, on a machine with an agent for each node."""
    shared, flavour = project.machine, project.flavour
    hosts = [cluster(node) for node in (1, 2)]
    addresses = [host[len("tcp://") :].rpartition(":")[0] for host in hosts]
    project.machine = start_machine("--docker-host", hosts[0], "--ip", addresses[0])
    project.machine.docker_host = hosts[0]
    project.flavour = "stack"
    agent = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jenkins_proxy",
            "registrator",
            "--docker-host",
            hosts[1],
            "--ip",
            addresses[1],
            "--consul",
            project.machine.consul,
        ],
        stderr=subprocess.DEVNULL,
    )
    yield project
    agent.terminate()
    agent.wait(timeout=20)
    stack_gone(hosts[0], project.name)
    project.machine, project.flavour = shared, flavour


def write(project, version: int, **app: object) -> None:
    """The stack's file, with two replicas of this version."""
    service = {
        "image": project.image(version),
        "ports": [{"target": 8080, "mode": "host"}],
        "environment": {"SERVICE_NAME": project.name, "BOOKS": project.name},
        "deploy": {"replicas": 2},
        **app,
    }
    text = json.dumps({"version": "3.8", "services": {"app": service}})
    (project.folder / "docker-compose.yml").write_text(text)


def services(stack) -> list[str]:
    argv = [stack.docker, "-H", stack.machine.docker_host, "stack", "services", stack.name, "--format", "{{.Name}}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_deployed_rolled_back_scaled_and_undeployed(stack):
    write(stack, 1)
    first = stack.deploy()
    assert first.code == 0, first.text
    # With nobody served yet there is nothing to hand over: what is reported is what ran.
    assert (first.report["strategy"], first.report["orchestrator"]) == ("recreate", "stack")
    assert "* strategy recreate: no containers serve through the proxy yet" in first.text
    assert len({instance["address"] for instance in first.report["instances"]}) == 2
    assert stack.get() == (200, "version 1\n")

    # The image ends at once when it is told to stop: whoever is connected then is lost, if anybody is.
    write(stack, 2)
    with stack.users() as failed:
        second = stack.deploy()
    assert second.code == 0, second.text
    assert second.report["strategy"] == "rolling"
    assert "stale entry" not in second.text
    assert failed == []
    assert stack.get() == (200, "version 2\n")
    assert {i["container"].rpartition(".")[0] for i in second.report["instances"]} == {
        f"{stack.name}_app.1",
        f"{stack.name}_app.2",
    }

    write(stack, 1, command=["/bin/sh", "-c", "echo cannot reach the database; exit 3"])
    with stack.users() as failed:
        third = stack.deploy("--timeout", "40")
    assert third.code == 5, third.text
    assert "rolled back to 2 container(s)" in third.report["error"]["message"]
    assert ["cannot reach the database"] in [one["log"] for one in third.report["failing"]]
    assert failed == []
    assert stack.get() == (200, "version 2\n")

    write(stack, 2)
    fourth = stack.deploy()
    assert fourth.code == 0, fourth.text

    with stack.users() as failed:
        up = stack.run("scale", "+1", "--probe-path", f"/{stack.name}/")
        assert up.code == 0, up.text
        assert len(up.report["instances"]) == 3
        down = stack.run("scale", "1", "--probe-path", f"/{stack.name}/")
    assert down.code == 0, down.text
    assert len(down.report["instances"]) == 1
    assert failed == []
    assert stack.get() == (200, "version 2\n")
    assert services(stack) == [f"{stack.name}_app"]

    gone = stack.run("undeploy", compose=False)
    assert gone.code == 0, gone.text
    assert (gone.report["left"], services(stack)) == ([], [])
    assert stack.get()[0] == 503
    again = stack.run("undeploy", compose=False)
    assert (again.code, again.report["removed"]) == (0, []), again.text


def test_killed_when_it_is_nearly_done_the_next_deploy_ends_in_order(stack):
    """Each other moment is one of ``test_stopped_on_a_stack.py``, without an engine."""
    write(stack, 1)
    assert stack.deploy().code == 0
    write(stack, 2)

    process = stack.deploying()
    stack.until(process, "* stopping the standby")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with stack.users() as failed:
        done = stack.deploy()

    assert done.code == 0, done.text
    assert failed == []
    assert stack.get() == (200, "version 2\n")
    assert services(stack) == [f"{stack.name}_app"]
    assert len(stack.machine.client.get_route(stack.name)["instances"]) == 2


# Docker names what it ignores, but for these.
UNSAID = {"depends_on", "tmpfs"}


@pytest.fixture
def outer(cluster, project):
    """A network that the stack does not make."""
    name = f"{project.name}-outer"
    docker = [project.docker, "-H", cluster(1)]
    subprocess.run([*docker, "network", "create", "-d", "overlay", name], check=True, capture_output=True)
    yield name
    # It goes a moment after the last task on it.
    for _ in range(100):
        gone = subprocess.run([*docker, "network", "rm", name], check=False, capture_output=True, text=True)
        if gone.returncode == 0:
            return
        time.sleep(0.2)
    pytest.fail(f"{name} cannot be removed: {gone.stderr}")


def test_what_is_made_of_each_key(outer, stack):
    """Every key of docs/compose.md that a stack takes, in one file."""
    names = stack.name, stack.image(1)
    taken = [key for key in KEYS if key.cell("stack") != "R"]
    file.write(stack.folder, file.document(taken, *names, builds=False), *names)

    done = stack.deploy("--target", "app")
    assert done.code == 0, done.text
    docker = [stack.docker, "-H", stack.machine.docker_host]
    found = file.found(docker, *names, stack=True)

    told = {name for line in re.findall(r"unsupported options: (.*)", done.text) for name in line.split(", ")}
    told |= set(re.findall(r"< (\w+): ", done.text))  # those that it calls deprecated
    wrong = {}
    for key in taken:
        honoured = key.cell("stack") == "H"
        if (key.swarm is not None and key.swarm(found, key.service)) != honoured:
            wrong[key.name] = f"{MEANINGS[key.cell('stack')]} in the table, and not in what runs"
        elif not honoured and key.name not in UNSAID | told:
            wrong[key.name] = "ignored, and nobody says so"
    assert wrong == {}


def test_what_a_stack_refuses(docker, tmp_path):
    """Docker reads a stack's file before it looks for a cluster: none is needed."""
    taken = {}
    for key in KEYS:
        if key.cell("stack") != "R":
            continue
        service = {"image": "shop", **file.filled(key.given, "shop", "shop")}
        made = {"version": "3.8", "services": {"app": service}, **file.filled(key.top, "shop", "shop")}
        path = file.write(tmp_path, made, "shop", "shop")
        argv = [docker, "-H", "tcp://127.0.0.1:9", "stack", "deploy", "-c", str(path), "shop"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if key.name.partition(".")[0] not in done.stderr or "127.0.0.1" in done.stderr:
            taken[key.name] = done.stderr
    assert taken == {}

"""Stacks on a real cluster of two nodes, and the judging of services and tasks as tables."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DeployFailed, UsageError
from jenkins_proxy.orchestrator import detect
from jenkins_proxy.orchestrator.base import Snapshot
from jenkins_proxy.orchestrator.runner import Runner
from jenkins_proxy.orchestrator.stack import Stack
from jenkins_proxy.retry import Deadline

BOOKS = """version: "3.8"
services:
  app:
    image: "{1}"
    ports: [{target: 8080, mode: host}]
    stop_grace_period: 1s
    deploy: {replicas: 2}
  db:
    image: "{1}"
    stop_grace_period: 1s
"""
NEW_BOOKS = BOOKS.replace("{1}", "{2}", 1)


@pytest.fixture(scope="module")
def cluster(repository, image, tmp_path_factory):
    """``tcp://`` of the manager of a Swarm-mode cluster of two engines, which have the image."""
    # The process number keeps two runs on one machine apart.
    number = os.getpid()
    environment = {
        **os.environ,
        "CLUSTER_NAME": f"f1-{number}",
        "CLUSTER_NET": f"10.{200 + number // 256 % 50}.{number % 256}",
        "CLUSTER_DIR": str(tmp_path_factory.mktemp("cluster")),
    }

    def run(script: str) -> str:
        text = f". {repository}/resources/environments/cluster.sh; {script}"
        answer = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    try:
        run(f"cluster_up 2 && cluster_load {image(1)} && cluster_load {image(2)}")
        yield run("cluster_host 1")
    finally:
        run("cluster_down")


def oldest_docker(environment: dict[str, str]) -> dict[str, str]:
    """This environment with the oldest Docker CLI that there is on the PATH in front."""
    folders = [folder for folder in os.get_exec_path() if shutil.which("docker", path=folder)]
    environments = [{**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"} for folder in folders]
    return min(environments, key=lambda one: [int(part) for part in detect.probe("stack", one).version.split(".")])


def read_by(name: str, resolved, file: str) -> Stack:
    environment = oldest_docker(resolved.docker_environment())
    runner, reader = (Runner(detect.probe(one, environment), environment, Console()) for one in ("stack", name))
    return Stack(runner, reader=reader, engine=Engine.from_settings(resolved), project="books-ms", files=[file])


@pytest.fixture
def books(cluster, tmp_path, image, stack_gone, wait_for):
    """``books(text)`` is the orchestrator of a stack's file; the stack is gone after the test.

    With a ``reader``, compose reads the file, and the oldest Docker CLI of the machine deploys it.
    """
    resolved = settings.resolve({"docker_host": cluster})
    made = []

    def make(text: str, reader: str = ""):
        file = tmp_path / "stack.yml"
        file.write_text(text.replace("{1}", image(1)).replace("{2}", image(2)))
        if reader:
            orchestrator = read_by(reader, resolved, str(file))
        else:
            orchestrator, _ = detect.choose(resolved, Console(), project="books-ms", files=[str(file)])
        made.append(orchestrator)
        return orchestrator

    yield make
    stack_gone(cluster, "books-ms")
    wait_for(lambda: not made[-1].containers(), "the stack's tasks to end", 60)


def running(orchestrator, service: str = "app"):
    return [container for container in orchestrator.containers(service) if container.running]


def test_up_answers_when_the_tasks_run_and_tells_where(books, deadline, cluster):
    one = books(BOOKS)
    assert one.name == "stack"
    assert one.validate().target().name == "app"
    one.up(deadline=deadline)
    found = running(one)
    assert {container.node_addresses for container in found} == {
        (cluster[len("tcp://") :].rpartition(":")[0].rpartition(".")[0] + f".{host}",) for host in (11, 12)
    }
    for container in found:
        (binding,) = [binding for binding in container.bindings if binding.host_ip == "0.0.0.0"]
        url = f"http://{container.node_addresses[0]}:{binding.host_port}/"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url, timeout=5)
    assert one.logs(found[0]) == ["serving 1"]


@pytest.mark.parametrize("reader", ["", "compose-v1", "compose-v2"])
def test_what_looks_like_a_variable_reaches_the_tasks_as_it_was_written(books, deadline, tmp_path, reader):
    (tmp_path / "app.env").write_text("FROM_FILE=a$b\n")
    more = (
        '    environment: {PASSWORD: "p$$w"}\n    env_file: [app.env]\n'
        '    healthcheck: {test: ["CMD-SHELL", "test -n $$PASSWORD"], interval: 1s}\n'
    )
    one = books(BOOKS.replace("    deploy:", more + "    deploy:"), reader)
    one.up(["app"], deadline=deadline)
    spec = one.snapshot("app").definitions[0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert sorted(spec["Env"]) == ["FROM_FILE=a$b", "PASSWORD=p$w"]
    assert spec["Healthcheck"]["Test"] == ["CMD-SHELL", "test -n $PASSWORD"]


# Each secret once: `docker stack deploy` itself puts two places of one secret in any order, and replaces the task.
FULL = """version: "3.8"
services:
  app:
    image: "{1}"
    command: /bin/busybox httpd -f -p 8080
    ports: [{target: 8080, mode: host}, {target: 8081, published: 18081, mode: host}, "18082:8082"]
    environment: ["A=$$b", EMPTY=, NOT_SET]
    depends_on: [db]
    stop_grace_period: 1s
    init: true
    extra_hosts: ["other:10.0.0.1"]
    labels: {price: "$$5"}
    logging: {driver: json-file, options: {max-size: 10m}}
    healthcheck: {test: ["CMD", "/bin/busybox", "test", "-n", "$$A"], interval: 1s, timeout: 1m30s, retries: 2}
    secrets: [plain, {source: key, target: other, uid: "1", mode: 0440}]
    configs: [{source: settings, target: /settings, mode: 0444}]
    networks: {front: {aliases: [books]}, back: }
    volumes:
      - data:/data
      - /tmp:/host:ro
      - ./settings.txt:/bound
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1000000}}
    deploy:
      replicas: 1
      labels: {a: b}
      resources: {limits: {cpus: "0.50", memory: 50M}, reservations: {cpus: "0.01"}}
      restart_policy: {condition: any, delay: 500ms}
      update_config: {delay: 1s, order: stop-first}
      placement: {constraints: [node.role == manager], max_replicas_per_node: 2}
  db: {image: "{1}", entrypoint: [/bin/busybox, sleep], command: ["1000"], stop_grace_period: 1s, env_file: [db.env]}
networks: {front: {driver: overlay, attachable: true}, back: {internal: true}}
volumes: {data: {driver: local}}
secrets: {key: {file: ./settings.txt}, plain: {file: ./settings.txt}}
configs: {settings: {file: ./settings.txt, name: settings-1}}
"""


def test_whatever_reads_the_files_the_tasks_stay(compose_v1, books, deadline, tmp_path):
    (tmp_path / "settings.txt").write_text("a: b\n")
    (tmp_path / "db.env").write_text("A='a$b'\n")
    tasks = []
    for reader in ("", "compose-v1", "compose-v2", "compose-v2", ""):
        one = books(FULL, reader)
        one.up(deadline=deadline)
        tasks.append(sorted(container.id for container in one.containers()))
    assert tasks == [tasks[0]] * 5
    assert len(tasks[0]) == 2


@pytest.mark.parametrize("reader", ["compose-v2"])
def test_a_standby_serves_beside_the_old_tasks(books, deadline, image, reader):
    books(BOOKS, reader).up(deadline=deadline)
    two = books(NEW_BOOKS, reader)
    beside = two.start_standby("app", 1, deadline=deadline)
    assert [container.image for container in beside] == [image(2)]
    assert [container.image for container in running(two)] == [image(1)] * 2
    assert {container.service for container in beside} == {"app-standby"}
    two.remove_standby("app", deadline=deadline)
    assert two.standby("app") == []


def test_up_replaces_new_ones_first_and_restore_brings_the_old_back(books, deadline, image):
    one = books(BOOKS)
    one.up(scale={"app": 1}, deadline=deadline)
    snapshot = one.snapshot("app")
    two = books(NEW_BOOKS)
    two.up(scale={"app": 1}, deadline=deadline)
    assert [container.image for container in running(two)] == [image(2)]
    two.scale("app", 3, deadline=deadline)
    assert len(running(two)) == 3
    assert [container.image for container in two.restore([snapshot], deadline=deadline)] == [image(1)]


def test_restore_removes_a_service_that_was_not_there(books, deadline):
    one = books(BOOKS)
    nothing = one.snapshot("app")
    one.up(["app"], deadline=deadline)
    assert one.restore([nothing], deadline=deadline) == []


def test_what_is_not_named_is_left_alone(books, deadline, image):
    one = books(
        BOOKS.replace("    deploy:", "    depends_on: [db]\n    deploy:") + '  other:\n    image: "f1-nope:1"\n'
    )
    one.start_needs(["app"], deadline=deadline)
    assert len(running(one, "db")) == 1
    one.scale("db", 2, deadline=deadline)
    before = {container.id for container in running(one, "db")}
    two = books(NEW_BOOKS.replace("    deploy:", "    depends_on: [db]\n    deploy:").replace("{1}", "{2}"))
    two.start_needs(["app"], deadline=deadline)
    two.up(["app"], scale={"app": 1}, deadline=deadline)
    assert [container.image for container in running(two)] == [image(2)]
    assert {container.id for container in running(two, "db")} == before
    two.up(["db"], deadline=deadline)
    assert [container.image for container in running(two, "db")] == [image(2)] * 2


def test_networks_of_what_is_removed_go(books, deadline):
    one = books(BOOKS)
    before, nothing = set(one.belongings()), one.snapshot("app")
    one.up(["app"], deadline=deadline)
    made = set(one.belongings())
    assert made > before
    one.restore([nothing], deadline=deadline)
    assert one.remove_belongings(before, deadline=deadline) == []
    assert set(one.belongings()) == before


def test_what_there_is_of_a_stack_is_known_without_its_files(books, deadline, image, tmp_path):
    (tmp_path / "key").write_text("secret")
    more = "    secrets: [key]\n    volumes: ['data:/data']\n    environment: {SERVICE_NAME: books-ms}\n"
    text = BOOKS.replace("    stop_grace_period", f"{more}    stop_grace_period", 1)
    one = books(f"{text}secrets: {{key: {{file: {tmp_path}/key}}}}\nvolumes: {{data: {{}}}}\n")
    one.up(["app"], deadline=deadline)
    assert {name.partition(" ")[0] for name in one.belongings().values()} == {"network", "secret"}
    one.scale("app", 0, deadline=deadline)

    assert one.present_services() == one.named_services("books-ms") == {"app"}
    assert one.volumes(["app"]) == one.volumes() == ("books-ms_data",)
    assert one.volumes(["db"]) == ()
    one.restore([Snapshot("app")], deadline=deadline)
    assert one.present_services() == frozenset()
    assert one.remove_volumes(["books-ms_data"], deadline=deadline) == []
    assert one.remove_belongings((), deadline=deadline) == []
    assert (one.belongings(), one.volumes()) == ({}, ())


def test_a_missing_image_is_told_from_the_tasks(books, deadline):
    with pytest.raises(DeployFailed, match="service app of stack books-ms does not come up: No such image: f1-nope"):
        books(BOOKS.replace("{1}", "f1-nope:1", 1)).up(deadline=deadline)


def test_time_runs_out(books):
    check = "    healthcheck: {test: [CMD, /bin/busybox, 'false'], interval: 1h}\n"
    never_healthy = BOOKS.replace("    deploy:", check + "    deploy:")
    with pytest.raises(DeployFailed, match=r"waited in vain for the tasks of app \(\d+ s of 3 s\)"):
        books(never_healthy).up(["app"], deadline=Deadline(3))


def test_an_ingress_port_is_no_instance(books):
    with pytest.raises(UsageError, match="no service publishes a port") as caught:
        books(BOOKS.replace(", mode: host", "")).validate().target()
    assert "mode: host" in caught.value.hint


def test_what_reads_the_files_for_an_old_docker_cli_is_told(compose_v1, cluster, tmp_path, monkeypatch):
    # In front of the real one, as which CLIs a machine has is its own affair.
    (tmp_path / "docker").write_text("#!/bin/sh\necho Docker version 20.10.24+dfsg1, build 297e128\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _, why = detect.choose(settings.resolve({"docker_host": cluster}), Console(), project="books", files=[])
    assert why == "the engine is a Swarm-mode manager; compose-v1 reads its files, as Docker CLI 20.10.24 cannot"


def test_a_stack_needs_a_manager(docker, resolved, tmp_path):
    with pytest.raises(UsageError, match="is no manager of a Swarm-mode cluster"):
        detect.choose(resolved, Console(), project="books-ms", files=[], wanted="stack")

"""Services and tasks as Swarm tells them (Docker Engine 20.10.24), cut to the parts that are read."""

from __future__ import annotations

import copy

import pytest

from jenkins_proxy.model import Binding
from jenkins_proxy.orchestrator import stack, swarm_tasks

SPEC = {"Image": "books-ms:1@sha256:ab", "Labels": {"com.docker.stack.namespace": "books-ms"}}
TASK = {
    "ID": "irgdlc4rhejkn343ut0il1yz1",
    "CreatedAt": "2026-11-22T10:20:42.657111Z",
    "Spec": {"ContainerSpec": SPEC, "ForceUpdate": 0},
    "Slot": 1,
    "NodeID": "gpgs840l17ai3xm9ngmjc83yq",
    "ServiceID": "kyq5thyqsomsx03m3t6pvraww",
    "DesiredState": "running",
    "Status": {
        "State": "running",
        "ContainerStatus": {"ContainerID": "1d08b5b165c8", "PID": 7, "ExitCode": 0},
        "PortStatus": {
            "Ports": [
                {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 32768, "PublishMode": "host"},
                {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 32770, "PublishMode": "host"},
                {"Protocol": "tcp", "TargetPort": 9000, "PublishedPort": 9000, "PublishMode": "ingress"},
            ]
        },
    },
}
NODE = {
    "Description": {"Hostname": "swarm-node-2.invalid"},
    "Status": {"State": "ready", "Addr": "10.77.7.12"},
    "ManagerStatus": {"Addr": "10.77.7.12:2377"},
}
SERVICE = {
    "ID": "kyq5thyqsomsx03m3t6pvraww",
    "Spec": {"Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": {"ContainerSpec": SPEC, "ForceUpdate": 0}},
}
GLOBAL = {**SERVICE, "Spec": {**SERVICE["Spec"], "Mode": {"Global": {}}}}


def task(state: str = "running", *, desired: str = "running", spec: dict = SPEC, **status) -> dict:
    made = copy.deepcopy(TASK)
    made["Status"].update(State=state, **status)
    made["DesiredState"] = desired
    made["Spec"]["ContainerSpec"] = spec
    return made


OLD = {**SPEC, "Image": "books-ms:0"}
UPDATING = {**SERVICE, "UpdateStatus": {"State": "updating"}}
PAUSED = {**SERVICE, "UpdateStatus": {"State": "paused", "Message": "update paused"}}


def test_a_task_is_a_container():
    found = swarm_tasks.parse(TASK, "books-ms_app", "books-ms", NODE)
    assert (found.id, found.service, found.project) == ("1d08b5b165c8", "app", "books-ms")
    assert (found.name, found.image) == ("books-ms_app.1.irgdlc4rhejkn343ut0il1yz1", "books-ms:1")
    assert (found.running, found.health) == (True, "")
    assert (found.node, found.node_addresses) == ("swarm-node-2.invalid", ("10.77.7.12",))
    assert found.bindings == (Binding("0.0.0.0", 32768, 8080), Binding("::", 32770, 8080))


def test_a_task_that_has_no_node_yet():
    waiting = task("pending", ContainerStatus=None, PortStatus={})
    found = swarm_tasks.parse({**waiting, "NodeID": ""}, "books-ms_app", "books-ms", {})
    assert (found.id, found.state, found.node_addresses) == (TASK["ID"], "created", ())


@pytest.mark.parametrize(
    "state, checked, expected",
    [
        ("starting", True, ("running", "starting")),
        ("running", True, ("running", "healthy")),
        ("running", False, ("running", "")),
        ("preparing", True, ("created", "")),
        ("failed", True, ("exited", "")),
        ("rejected", False, ("dead", "")),
    ],
)
def test_states(state, checked, expected):
    spec = {**SPEC, "Healthcheck": {"Test": ["CMD", "true"]}} if checked else SPEC
    found = swarm_tasks.parse(task(state, spec=spec), "books-ms_app", "books-ms", NODE)
    assert (found.state, found.health) == expected


@pytest.mark.parametrize(
    "service, present, expected",
    [
        (SERVICE, [task()], True),
        (SERVICE, [task("starting")], False),
        (SERVICE, [], False),
        (SERVICE, [task(), task()], False),
        (SERVICE, [task(spec=OLD)], False),
        (SERVICE, [task(), task("running", desired="shutdown", spec=OLD)], False),
        (SERVICE, [task(), task("shutdown", desired="shutdown", spec=OLD)], True),
        (UPDATING, [task()], False),
        ({**SERVICE, "UpdateStatus": {"State": "completed"}}, [task()], True),
        (GLOBAL, [task(), task()], True),
        (GLOBAL, [], False),
    ],
)
def test_settled(service, present, expected):
    assert swarm_tasks.settled(service, present) is expected


UNHEALTHY = "task: non-zero exit (137): dockerexec: unhealthy container"
REJECTED = task("rejected", desired="shutdown", Err="No such image: books-ms:1", Message="preparing")


@pytest.mark.parametrize(
    "service, present, expected",
    [
        (SERVICE, [task()], ""),
        (SERVICE, [REJECTED] * 2, ""),
        (SERVICE, [REJECTED] * 3, "No such image: books-ms:1"),
        (SERVICE, [task("failed", Err="", Message="started")] * 3, "started"),
        (SERVICE, [task("failed", spec=OLD)] * 3, ""),
        (SERVICE, [REJECTED, task("failed", Err=UNHEALTHY)], UNHEALTHY),
        (PAUSED, [REJECTED], REJECTED["Status"]["Err"]),
        (PAUSED, [], "update paused"),
        ({**SERVICE, "UpdateStatus": {"State": "rollback_completed"}}, [], "rollback_completed"),
        ({}, [REJECTED] * 3, ""),
    ],
)
def test_failure(service, present, expected):
    assert swarm_tasks.failure(service, present) == expected


def test_deployed_starts_new_ones_first_where_they_can_run_beside_the_old():
    config = {
        "services": {
            "app": {"ports": [{"target": 8080, "mode": "host"}], "deploy": {"replicas": 1}},
            "fixed": {"ports": [{"target": 8080, "published": "80", "mode": "host"}]},
            "told": {"deploy": {"update_config": {"order": "stop-first", "parallelism": 2}}},
        }
    }
    made = stack.deployed(config, {"app": 3})["services"]
    assert made["app"]["deploy"] == {"replicas": 3, "update_config": {"order": "start-first"}}
    assert made["fixed"]["deploy"] == {}
    assert made["told"]["deploy"]["update_config"] == {"order": "stop-first", "parallelism": 2}
    assert config["services"]["app"]["deploy"] == {"replicas": 1}, "the rendered configuration stays as it was"


def test_deployed_is_read_a_second_time_and_then_means_the_same():
    config = {
        "services": {
            "app": {
                "command": ["sh", "-c", "echo $HOME ${X}"],
                "environment": {"A": "p$w", "$K": None, "N": 1},
                "env_file": ["app.env"],
            }
        }
    }
    made = stack.deployed(config, {})["services"]["app"]
    assert made["command"] == ["sh", "-c", "echo $$HOME $${X}"]
    # The names of variables are not looked into.
    assert made["environment"] == {"A": "p$$w", "$K": None, "N": 1}
    assert "env_file" not in made, "its path is relative to a file that is not read a second time"
    assert config["services"]["app"]["env_file"] == ["app.env"]


DOWN = {"ID": TASK["NodeID"], "Status": {"State": "down"}}


@pytest.mark.parametrize(
    ("found", "node", "state"),
    [
        (task(desired="shutdown"), DOWN, "orphaned"),
        (task(desired="remove"), DOWN, "orphaned"),
        (task("starting", desired="shutdown"), DOWN, "orphaned"),
        # Not given up: Swarm has yet to start another one in its place.
        (task(), DOWN, "running"),
        (task("failed", desired="shutdown"), DOWN, "failed"),
        (task(desired="shutdown"), {**DOWN, "Status": {"State": "ready"}}, "running"),
        (task(desired="shutdown"), {**DOWN, "ID": "another"}, "running"),
    ],
)
def test_a_task_that_ends_on_a_node_that_is_down_is_orphaned(found, node, state):
    (judged,) = swarm_tasks.without_lost([found], [node])
    assert judged["Status"]["State"] == state
    assert swarm_tasks.kept([judged]) == (set() if state == "orphaned" else {TASK["ID"]})


def test_what_went_with_its_node_is_not_waited_for():
    lost = swarm_tasks.without_lost([{**task(desired="shutdown"), "ID": "lost"}], [DOWN])
    assert swarm_tasks.settled(SERVICE, [*lost, {**task(), "NodeID": "another"}])
    assert not swarm_tasks.settled(SERVICE, [task(desired="shutdown"), {**task(), "NodeID": "another"}])

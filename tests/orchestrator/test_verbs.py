"""What a deployment asks of an orchestrator whichever it is: in which order a project comes up, and what counts."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.orchestrator import base, swarm_tasks
from jenkins_proxy.orchestrator.base import Up
from jenkins_proxy.orchestrator.compose import Compose
from jenkins_proxy.orchestrator.runner import Program, Runner
from jenkins_proxy.orchestrator.stack import Stack

PORTS = ["8080"]


@pytest.fixture
def runner(tmp_path):
    """``runner(services)`` is a program that renders compose files with these services."""

    def make(services: dict) -> Runner:
        (tmp_path / "config.json").write_text(json.dumps({"services": services}))
        (tmp_path / "compose").write_text(f"#!/bin/sh\ncat {tmp_path}/config.json\n")
        (tmp_path / "compose").chmod(0o755)
        return Runner(Program("compose-v2", (str(tmp_path / "compose"),), "2.26.1"), os.environ, Console())

    return make


@pytest.mark.parametrize(
    ("services", "calls"),
    [
        pytest.param({"app": {}}, [Up(["app"], {"app": 2})], id="the target alone"),
        pytest.param(
            {"app": {"depends_on": ["db"]}, "db": {}, "web": {"depends_on": ["app"]}},
            [Up(["db"]), Up(["app"], {"app": 2}), Up(["web"], {"app": 2})],
            id="side services first, and last what needs the target",
        ),
    ],
)
def test_compose_brings_a_project_up_in_order(runner, services, calls):
    compose = Compose(runner(services), engine=SimpleNamespace(), project="books", files=[])

    assert compose.up_in_order("app", 2) == calls


def stack(engine=None) -> Stack:
    runner = Runner(Program("stack", ("docker", "stack"), "28.2.2"), os.environ, Console())
    return Stack(runner, reader=runner, engine=engine, project="books", files=[])


def test_a_stack_is_brought_up_as_a_whole():
    assert stack().up_in_order("app", 2) == [Up((), {"app": 2})]


def test_what_had_ended_before_is_no_instance_of_a_stack(monkeypatch):
    tasks = [SimpleNamespace(id=id, running=running) for id, running in (("a", False), ("b", True), ("c", False))]
    monkeypatch.setattr(swarm_tasks, "of_stack", lambda _engine, _project, _service: tasks)

    # The one that ended meanwhile is: that it does not run has to be noticed.
    assert [task.id for task in stack().current_containers("app", before={"a", "b"})] == ["b", "c"]


def test_each_is_of_its_kind():
    """What only one of them can do is a type of its own: nothing has to be asked for by a flag."""
    assert issubclass(Compose, base.SurgeOrchestrator)
    assert not issubclass(Compose, base.SwarmOrchestrator)
    assert issubclass(Stack, base.SwarmOrchestrator)
    assert not issubclass(Stack, base.SurgeOrchestrator)

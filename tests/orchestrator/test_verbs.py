"""What a deployment asks of an orchestrator whichever it is: in which order a project comes up, and what counts."""

from __future__ import annotations

import os
from types import SimpleNamespace

from jenkins_proxy.console import Console
from jenkins_proxy.orchestrator import base, swarm_tasks
from jenkins_proxy.orchestrator.compose.compose import Compose
from jenkins_proxy.orchestrator.runner import Program, Runner
from jenkins_proxy.orchestrator.stack import Stack


def stack(engine=None) -> Stack:
    runner = Runner(Program("stack", ("docker", "stack"), "28.2.2"), os.environ, Console())
    return Stack(runner, reader=runner, engine=engine, project="books", files=[])


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

"""A service whose route is of connections: no request proves an instance, and no user meets one without a proof."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from tests.system.deployment.conftest import Project

OLD, NEW = (200, "version 1\n"), (200, "version 2\n")


@pytest.fixture
def connected(start_machine, free_port, docker, image, tmp_path):
    """A service with a port of its own, where the proxy looks into no request."""
    port = free_port()
    machine = start_machine("--tcp-bind", f"127.0.0.1:{port}")
    machine = dataclasses.replace(machine, entry=f"http://127.0.0.1:{port}")
    made = Project(f"f2-{uuid.uuid4().hex[:8]}", machine, docker, tmp_path, image)
    yield made, ("--req-mode", "tcp", "--src-port", str(port), "--check-timeout", "6")
    made.remove()


def test_a_service_of_connections_is_deployed_with_a_proof(connected) -> None:
    project, route = connected
    project.compose(1)
    first = project.run("deploy", *route)
    assert first.code == 0, first.text
    assert "verify: taken by" in first.text and project.get() == OLD
    with project.users() as failed:
        project.compose(2)
        second = project.run("deploy", *route)
        assert second.code == 0, second.text
        assert project.get() == NEW
        # It takes connections, and drops each at once, as the engine's own proxy does for what does not listen.
        project.compose(3, command=["/bin/busybox", "nc", "-ll", "-p", "8080", "-e", "/bin/sh", "-c", "exit 0"])
        bad = project.run("deploy", *route)
        assert bad.code != 0 and "takes no connection, or drops it at once" in bad.text, bad.text
        assert project.get() == NEW
        project.compose(2)
        scaled = project.run("scale", "2")
        assert scaled.code == 0, scaled.text
    assert failed == []

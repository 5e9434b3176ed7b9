"""Routing what runs already, behind a real proxy: reconfigure, status, remove."""

from __future__ import annotations

import json
import signal
import subprocess
import sys


def test_a_service_is_routed_shown_and_unrouted(project):
    project.compose(1)
    assert project.run("deploy", "--no-proxy").code == 0

    routed = project.run(
        "reconfigure", "--path", f"/{project.name}", "--probe-path", f"/{project.name}/", compose=False
    )
    assert routed.code == 0, routed.text
    assert "* probe: answered by" in routed.text
    assert project.get() == (200, "version 1\n")

    shown = subprocess.run(
        [sys.executable, "-m", "jenkins_proxy", "status", project.name, "--json"],
        env=project.machine.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    (service,) = json.loads(shown.stdout)
    assert service["route"]["paths"] == [f"/{project.name}"]
    assert [instance["status"] for instance in service["instances"]] == ["passing"]

    removed = project.run("remove", compose=False)
    assert removed.code == 0, removed.text
    assert "the proxy routes it no more" in removed.text
    assert project.get()[0] == 503
    assert "the proxy had no route of it" in project.run("remove", compose=False).text


def test_a_service_that_is_not_there_is_not_routed_unless_that_is_meant(project):
    arguments = ("reconfigure", "--path", f"/{project.name}", "--timeout", "5")

    assert project.run(*arguments, compose=False).code == 3
    assert project.machine.client.get_route(project.name) is None

    done = project.run(*arguments, "--allow-empty", compose=False)
    assert done.code == 0, done.text
    assert project.get()[0] == 503
    assert project.machine.client.get_route(project.name) is not None


def test_a_route_that_does_not_prove_itself_is_again_as_it_was(project):
    project.compose(1)
    assert project.run("deploy", "--no-proxy").code == 0
    arguments = ("reconfigure", "--path", f"/{project.name}", "--probe-path")

    first = project.run(*arguments, f"/{project.name}/none", compose=False)
    assert first.code == 6, first.text
    assert first.report["error"]["message"].endswith(f"; there is no route of {project.name}, as before")
    assert project.machine.client.get_route(project.name) is None

    assert project.run(*arguments, f"/{project.name}/", compose=False).code == 0
    process = project.start("reconfigure", "--path", "/more", "--probe-path", "/more", compose=False)
    text = project.until(process, "* probe: GET")
    process.send_signal(signal.SIGTERM)
    done = project.finish(process, text)

    assert done.code == 143, done.text
    assert f"during probe; the proxy serves /{project.name} as before" in done.report["error"]["message"]
    assert done.report["rolled_back"] is True
    assert project.get() == (200, "version 1\n")


def test_a_route_of_a_color_keeps_it(project):
    project.compose(1)
    assert project.deploy("--strategy", "blue-green").code == 0

    done = project.run(
        "reconfigure", "--path", f"/{project.name},/more", "--probe-path", f"/{project.name}/", compose=False
    )

    assert done.code == 0, done.text
    assert done.report["route"]["color"] == "blue"
    assert done.report["route"]["paths"] == [f"/{project.name}", "/more"]


def test_a_rollback_needs_something_to_go_back_to(project):
    project.serve(1)

    done = project.run("rollback", compose=False)

    assert done.code == 2, done.text
    assert f"no passing instance of {project.name}-blue or {project.name}-green" in done.report["error"]["message"]
    assert project.get() == (200, "version 1\n")

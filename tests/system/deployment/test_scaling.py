"""Scaling real containers behind a real proxy."""

from __future__ import annotations

import signal
import time


def test_up_and_down_without_losing_a_request(project):
    project.serve(1, checked=True)

    with project.users() as failed:
        up = project.run("scale", "3", "--probe-path", f"/{project.name}/")
        there = len(project.containers())
        down = project.run("scale", "-2", "--probe-path", f"/{project.name}/")

    assert (up.code, down.code) == (0, 0), up.text + down.text
    assert failed == []
    assert there == 3
    assert len(up.report["instances"]) == 3
    assert len(down.report["instances"]) == 1
    assert "* draining" in down.text
    assert len(project.containers(every=True)) == 1


def test_new_ones_that_die_are_taken_away_again(project):
    project.serve(1)
    before = project.containers()
    project.compose(1, "dies")

    done = project.run("scale", "3", "--probe-path", f"/{project.name}/")

    assert done.code == 5, done.text
    message = done.report["error"]["message"]
    assert "ended with exit code 3: cannot reach the database; back to 1 instance(s)" in message
    assert done.report["rolled_back"] is True
    assert [failing["log"] for failing in done.report["failing"]] == [["cannot reach the database"]] * 2
    assert project.containers(every=True) == before
    assert project.get() == (200, "version 1\n")


def test_a_route_that_does_not_prove_itself_is_again_as_it_was(project):
    project.serve(1)
    before = project.containers()

    done = project.run("scale", "2", "--path", f"/{project.name}/new", "--probe-path", f"/{project.name}/new/none")

    assert done.code == 6, done.text
    message = done.report["error"]["message"]
    assert message.endswith(f"; back to 1 instance(s); the proxy serves /{project.name} as before")
    assert done.report["rolled_back"] is True
    assert [one["container"] for one in done.report["instances"]] == list(before.values())
    assert project.machine.client.get_route(project.name)["route"]["paths"] == [f"/{project.name}"]
    assert project.containers(every=True) == before
    assert project.get() == (200, "version 1\n")


def test_on_the_way_down_what_has_ended_stays_so(project):
    project.serve(1, count=3)

    done = project.run("scale", "2", "--probe-path", f"/{project.name}/none")

    assert done.code == 6, done.text
    assert "; not rolled back: what has ended on the way down stays so" in done.report["error"]["message"]
    assert done.report["rolled_back"] is False
    assert len(done.report["instances"]) == len(project.containers()) == 2


def test_a_way_down_that_was_killed_is_ended_by_the_next_command(project):
    project.serve(1, count=3)
    process = project.start("scale", "1")
    project.until(process, "draining ")

    def serving() -> list[bool]:
        return [one["serving"] for one in project.machine.client.get_route(project.name)["instances"]]

    while sum(serving()) > 1:
        process.send_signal(signal.SIGCONT)
        time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
    process.kill()
    project.finish(process)

    done = project.run("scale", "3")

    assert done.code == 0, done.text
    assert "was broken off while retiring (scale)" in done.text
    assert serving() == [True] * 3
    assert len(project.containers()) == 3


def test_the_color_that_serves_is_scaled(project):
    project.compose(1)
    assert project.deploy("--strategy", "blue-green").code == 0

    done = project.run("scale", "+1", "--probe-path", f"/{project.name}/")

    assert done.code == 0, done.text
    assert len(project.containers(project=f"{project.name}-blue")) == 2
    assert project.containers() == {}


def test_down_to_nothing_has_to_be_meant(project):
    project.serve(1)

    refused = project.run("scale", "0")
    assert refused.code == 2, refused.text
    assert "--allow-empty" in refused.report["error"]["hint"]
    assert len(project.containers()) == 1

    done = project.run("scale", "0", "--allow-empty")
    assert done.code == 0, done.text
    assert project.containers(every=True) == {}
    assert project.get()[0] == 503


def test_while_a_deploy_runs_it_says_who_does(project):
    project.compose(1, "other name")
    deploy = project.start("deploy", "--no-proxy", report="deploy.json")
    project.until(deploy, "waiting for")

    done = project.run("scale", "2")

    assert done.code == 4, done.text
    assert "is being deployed" in done.report["error"]["message"]
    deploy.send_signal(signal.SIGTERM)
    deploy.communicate(timeout=60)


def test_more_than_one_at_a_fixed_host_port_is_found_before_anything_is_touched(project, free_port):
    project.compose(1, ports=[f"{free_port()}:8080"])
    assert project.deploy().code == 0
    before = project.containers(every=True)

    done = project.run("scale", "2")

    assert done.code == 2, done.text
    assert "2 instances cannot run beside each other: app publishes the fixed host port" in done.text
    assert project.containers(every=True) == before

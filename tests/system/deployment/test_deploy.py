"""Deploys of real containers behind a real proxy: what users meet meanwhile, and what is left afterwards."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.deployment import release_log
from jenkins_proxy.deployment.steps import lock


def test_a_first_deploy_ends_when_users_reach_it(project):
    project.compose(1)

    done = project.deploy("--scale", "2")

    assert done.code == 0, done.text
    assert project.get() == (200, "version 1\n")
    report = done.report
    assert (report["service"], report["status"], report["strategy"]) == (project.name, "done", "rolling")
    assert report["orchestrator"] == project.flavour
    assert sorted(i["container"] for i in report["instances"]) == sorted(project.containers().values())
    assert report["route"]["paths"] == [f"/{project.name}"]
    assert report["url"] == f"{project.machine.entry}/{project.name}"
    assert all(
        report["timings"][phase] > 0 for phase in ("hold", "bring_up", "wait", "verify", "promote", "probe", "total")
    )
    assert (report["rolled_back"], report["error"]) == (False, None)
    assert len(project.containers("db")) == 1


def test_rolling_loses_no_request_and_leaves_what_compose_would_have_left(either_project):
    project = either_project
    project.serve(1, checked=True)
    old = project.containers()

    project.compose(2, checked=True)
    with project.users() as failed:
        done = project.deploy("--strategy", "rolling")

    assert done.code == 0, done.text
    assert failed == []
    assert project.get() == (200, "version 2\n")
    new = project.containers(every=True)
    assert not set(new) & set(old)
    assert len(new) == 1
    project.plain_up()
    assert project.containers(every=True) == new


def test_rolling_in_batches_keeps_the_count(project):
    project.serve(1, count=3, checked=True)

    project.compose(2, checked=True)
    with project.users() as failed:
        done = project.deploy("--batch", "2")

    assert done.code == 0, done.text
    assert failed == []
    assert len(project.containers()) == 3
    assert len(done.report["instances"]) == 3


def test_recreate_is_the_articles_plain_up(project):
    project.serve(1)
    project.compose(2)

    done = project.deploy("--strategy", "recreate")

    assert done.code == 0, done.text
    assert done.report["strategy"] == "recreate"
    assert project.get() == (200, "version 2\n")


def test_recreate_of_what_has_not_changed_leaves_it_and_adds_what_is_missing(project):
    project.serve(1)
    old = project.containers()

    same = project.deploy("--strategy", "recreate")
    more = project.deploy("--strategy", "recreate", "--scale", "2")

    assert (same.code, more.code) == (0, 0), same.text + more.text
    assert len(same.report["instances"]) == 1
    assert set(old) < set(project.containers())
    assert len(more.report["instances"]) == 2


def test_where_no_second_container_can_run_the_console_says_why(project):
    project.compose(1, container_name=f"{project.name}-only")

    done = project.deploy("--strategy", "rolling")

    assert done.code == 0, done.text
    assert done.report["strategy"] == "recreate"
    assert (
        "* strategy recreate: instead of rolling, as new containers cannot run beside the old ones: app has a "
        "fixed container_name" in done.text
    )


def test_blue_green_switches_in_one_step_and_back(project):
    project.serve(1, checked=True)

    project.compose(2, checked=True)
    with project.users() as failed:
        blue = project.deploy("--strategy", "blue-green", "--keep-old")
        assert project.get() == (200, "version 2\n")
        back = project.run("rollback", "--probe-path", f"/{project.name}/", compose=False)
        assert project.get() == (200, "version 1\n")
        again = project.deploy("--strategy", "blue-green")

    assert [done.code for done in (blue, back, again)] == [0, 0, 0], blue.text + back.text + again.text
    assert failed == []
    assert blue.report["route"]["color"] == "blue"
    assert back.report["route"]["color"] == ""
    assert project.get() == (200, "version 2\n")
    assert (len(project.containers()), len(project.containers(project=f"{project.name}-blue"))) == (0, 1)
    assert len(project.containers("db")) == 1
    history = release_log.read(project.machine.registry, project.name)
    # No deploy has made the first version.
    assert [(one.command, one.outcome, one.color, bool(one.image)) for one in history] == [
        ("deploy", "done", "blue", True),
        ("rollback", "done", "", False),
        ("deploy", "done", "blue", True),
    ]
    assert history[0].image_id.startswith("sha256:")


def test_blue_green_of_a_service_that_stands_alone(project):
    """No side service has made the network that both colors share."""
    project.compose(1, checked=True, depends_on=[])
    file = project.folder / "docker-compose.yml"
    file.write_text(json.dumps({"services": {"app": json.loads(file.read_text())["services"]["app"]}}))

    done = project.deploy("--strategy", "blue-green")

    assert done.code == 0, done.text
    assert project.get() == (200, "version 1\n")
    assert (len(project.containers()), len(project.containers(project=f"{project.name}-blue"))) == (0, 1)


def test_from_a_color_back_to_rolling(project):
    project.compose(1, checked=True)
    assert project.deploy("--strategy", "blue-green").code == 0

    project.compose(2, checked=True)
    with project.users() as failed:
        done = project.deploy("--strategy", "rolling")

    assert done.code == 0, done.text
    assert failed == []
    assert project.get() == (200, "version 2\n")
    assert project.containers(project=f"{project.name}-blue", every=True) == {}


@pytest.mark.parametrize(
    ("strategy", "fault", "code", "text", "evidence"),
    [
        pytest.param("rolling", "dies", 5, "ended with exit code 3: cannot", "cannot reach the", id="rolling-dies"),
        pytest.param("rolling", "never healthy", 3, "its HEALTHCHECK says", "no database", id="rolling-never-healthy"),
        pytest.param("recreate", "dies", 5, "ended with exit code 3", "cannot reach the", id="recreate-dies"),
        pytest.param("recreate", "answers 500", 6, "HTTP 500 from", "", id="recreate-answers-500"),
    ],
)
def test_a_deploy_that_fails_goes_back_to_what_served(project, strategy, fault, code, text, evidence):
    """As a candidate each of these, and others, meets no user: test_candidates.py, also with blue-green."""
    project.serve(1)
    before = sorted(project.containers().values())

    project.compose(2, fault)
    done = project.deploy("--strategy", strategy, "--timeout", "30")

    assert done.code == code, done.text
    assert text in done.report["error"]["message"]
    assert "rolled back to 1 container(s)" in done.report["error"]["message"]
    assert ", proven by" in done.report["error"]["message"]
    assert done.report["rolled_back"] is True
    assert evidence in json.dumps(done.report.get("failing"))
    assert project.get() == (200, "version 1\n")
    assert sorted(project.containers(every=True).values()) == before
    assert project.containers(project=f"{project.name}-blue", every=True) == {}


def test_an_image_that_cannot_be_had_is_found_before_anything_is_touched(project):
    project.serve(1)
    before = project.containers(every=True)

    project.compose(2, "no image")
    done = project.deploy()

    assert done.code == 2, done.text
    assert "image f2-no-image:1 is not on the engine, and cannot be pulled" in done.report["error"]["message"]
    assert done.report["rolled_back"] is False
    assert project.containers(every=True) == before


def test_a_page_that_was_never_there_fails_the_deploy_and_not_the_roll_back(project):
    project.serve(1)
    project.compose(2)

    done = project.run("deploy", "--path", f"/{project.name}", "--probe-path", f"/{project.name}/none")

    assert done.code == 6, done.text
    assert "; rolled back to 1 container(s) of" in done.report["error"]["message"]
    assert done.report["rolled_back"] is True
    assert project.get() == (200, "version 1\n")
    assert project.deploy().text.count("was broken off") == 0


def test_a_failed_first_deploy_leaves_no_route_and_no_container(project):
    project.compose(1, "dies")

    done = project.deploy()

    assert done.code == 5, done.text
    assert "rolled back: nothing had served before" in done.report["error"]["message"]
    assert project.containers(every=True) == {}
    assert project.machine.client.get_route(project.name) is None


def test_a_host_port_that_is_taken(project):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        project.compose(1, ports=[f"{port}:8080"])

        done = project.deploy()

    assert done.code == 5, done.text
    assert str(port) in done.report["error"]["message"]
    assert done.report["strategy"] == "recreate"
    assert project.containers(every=True) == {}


def test_what_the_registry_shows_instead_is_told(project):
    project.compose(1, "other name")

    done = project.deploy("--timeout", "20")

    assert done.code == 3, done.text
    assert "it is registered under another name: another-name at" in done.report["error"]["message"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_wait_it_goes_back_first(project, signum):
    project.serve(1)
    project.compose(2, "other name")

    process = project.deploying()
    text = project.until(process, "waiting for")
    process.send_signal(signum)
    done = project.finish(process, text)

    assert done.code == 143, done.text
    assert done.report["status"] == "stopped"
    assert done.report["error"]["message"].startswith(
        f"stopped by {signum.name} during wait; rolled back to 1 container(s)"
    )
    # A reader of the console, as of a build's, need not open the report.
    assert f"ERROR: {done.report['error']['message']}" in done.text
    assert len(project.containers(every=True)) == 1
    assert project.get() == (200, "version 1\n")


def test_stopped_while_compose_runs_it_ends_compose_first(project):
    project.serve(1)
    before = project.containers()
    project.compose(2)

    process = project.deploying()
    text = project.until(process, "--no-recreate")
    process.send_signal(signal.SIGTERM)
    done = project.finish(process, text)

    assert done.code == 143, done.text
    assert "stopped by SIGTERM during bring_up; rolled back" in done.report["error"]["message"]
    assert project.containers(every=True) == before
    assert project.get() == (200, "version 1\n")


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "recreate"])
def test_the_deploy_after_a_killed_one_puts_things_in_order(project, strategy):
    project.serve(1, count=2)
    project.compose(2, "other name")
    process = project.deploying("--strategy", strategy)
    project.until(process, "waiting for")
    process.kill()
    process.communicate(timeout=60)

    project.compose(2)
    done = project.deploy()

    assert done.code == 0, done.text
    assert f"was broken off while proving ({strategy})" in done.text
    assert project.get() == (200, "version 2\n")
    assert len(project.containers(every=True)) == 2
    assert project.containers(project=f"{project.name}-blue", every=True) == {}
    assert project.deploy().text.count("was broken off") == 0


def test_a_deploy_that_fails_before_it_begins_keeps_what_a_killed_one_wanted(project):
    project.serve(1, count=2)
    project.compose(2, "other name")
    process = project.deploying("--strategy", "recreate", "--scale", "3")
    project.until(process, "waiting for")
    process.kill()
    process.communicate(timeout=60)

    project.compose(2)
    failed = project.deploy("--pull")
    assert failed.code == 5, failed.text
    assert failed.report["error"]["message"].endswith(
        "; what the deploy before had left is in order, and nothing else was changed"
    )

    subprocess.run([project.docker, "rm", "-f", next(iter(project.containers()))], check=True, capture_output=True)
    done = project.deploy()
    assert done.code == 0, done.text
    assert len(done.report["instances"]) == 3


def test_a_deploy_that_waits_for_another_has_all_of_its_time(project):
    project.compose(1)
    with project.machine.registry as registry, lock.hold(registry, lock.Subject.of_service(project.name), 0, Console()):
        process = project.deploying("--timeout", "20", "--lock-timeout", "120")
        text = project.until(process, "waiting for another deploy")
        time.sleep(21)

    done = project.finish(process, text)

    assert done.code == 0, done.text


def test_two_deploys_of_one_service_at_once(project):
    project.compose(1, "other name")
    first = project.start("deploy", "--no-proxy", report="first.json")
    project.until(first, "waiting for")

    second = project.deploy()

    assert second.code == 4, second.text
    assert f"{project.name} is being deployed: " in second.report["error"]["message"]
    assert f"(pid {first.pid})" in second.report["error"]["message"]
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_started(project, free_port):
    nobody = f"http://127.0.0.1:{free_port()}"
    project.machine = type(project.machine)(nobody, nobody, project.machine.entry, project.folder, None)

    done = project.run("deploy", "--path", "/a b", "--docker-host", nobody.replace("http", "tcp"), "-f", "no-such.yml")

    assert done.code == 2, done.text
    message = done.report["error"]["message"]
    for word in ("--path '/a b' is not allowed", "no-such.yml", "no proxy daemon answers", "registry"):
        assert word in message
    assert project.containers(every=True) == {}


def test_a_dry_run_changes_nothing(project):
    project.serve(1)
    before = project.containers()
    project.compose(2)

    done = project.deploy("--dry-run", "--scale", "2")

    assert done.code == 0, done.text
    assert done.report["status"] == "planned"
    plan = done.report["plan"]
    assert plan["containers"] == list(before.values())
    assert plan["instances"] == 2
    assert any("start 2 new container(s) of app beside the old ones" in step for step in plan["steps"])
    assert project.containers(every=True) == before
    assert project.get() == (200, "version 1\n")


def test_a_label_of_the_target_is_the_routes_default_and_an_argument_wins(project):
    project.compose(1, labels={"com.jenkins-proxy.slow-start": 2})

    done = project.deploy()

    assert done.code == 0, done.text
    assert done.report["route"]["slow_start"] == 2
    assert project.machine.client.get_route(project.name)["route"]["slow_start"] == 2

    again = project.deploy("--slow-start", "0")

    assert again.code == 0, again.text
    assert project.machine.client.get_route(project.name)["route"]["slow_start"] == 0


def test_without_the_proxy_nothing_is_routed(project):
    project.compose(1)

    done = project.run("deploy", "--no-proxy")

    assert done.code == 0, done.text
    assert (done.report["route"], done.report["url"]) == (None, "")
    assert project.get()[0] == 503
    assert project.machine.client.get_route(project.name) is None


def test_a_compose_file_that_is_missing_is_one_problem(project):
    done = project.deploy()

    assert done.code == 2, done.text
    assert done.report["error"]["message"].startswith("no compose file at")

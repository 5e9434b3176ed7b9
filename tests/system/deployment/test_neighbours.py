"""A project of several services: a deploy touches its target and what that needs, and a revert puts it all back."""

from __future__ import annotations

import json
import subprocess

import pytest

SERVE = [
    "/bin/sh",
    "-c",
    "/bin/busybox mkdir -p /www/$$BOOKS; echo back > /www/$$BOOKS/index.html;"
    "exec /bin/busybox httpd -f -p 8080 -h /www",
]
SLEEP = ["/bin/busybox", "sleep", "1000"]


# How v1 and v2 are called for the same is in tests/orchestrator/compose/test_calls.py: here v1 is where it may differ.
with_v2 = pytest.mark.parametrize("either_project", ["compose-v2"], indirect=True)


@pytest.fixture
def shop(either_project):
    """``shop(services)`` writes a compose file whose ``app`` is the target; the others are as given."""
    project = either_project

    def write(version: int = 1, *, app=(), **others):
        image = project.image(version)
        services = {
            "app": {
                "image": image,
                "ports": ["8080"],
                "environment": {"SERVICE_NAME": project.name, "BOOKS": project.name},
                **dict(app),
            },
            **{
                name: {"image": image, "command": SLEEP, "stop_grace_period": "1s", **keys}
                for name, keys in others.items()
            },
        }
        (project.folder / "docker-compose.yml").write_text(json.dumps({"services": services}))
        return project

    return write


def compose(project, *words):
    program = [project.docker, "compose"] if project.flavour == "compose-v2" else ["docker-compose"]
    argv = [*program, "-p", project.name, "-f", str(project.folder / "docker-compose.yml"), *words]
    subprocess.run(argv, check=True, capture_output=True, text=True)


def docker(project, *words) -> str:
    return subprocess.run([project.docker, *words], check=True, capture_output=True, text=True).stdout.strip()


def ids(project, *services) -> dict[str, set[str]]:
    return {name: set(project.containers(name, every=True)) for name in services}


def networks(project) -> str:
    return docker(project, "network", "ls", "-q", "--filter", f"label=com.docker.compose.project={project.name}")


def lines(project, service) -> list[str]:
    return [
        line for one in project.containers(service, every=True) for line in docker(project, "logs", one).splitlines()
    ]


@pytest.mark.parametrize(
    ("either_project", "strategy"),
    [("compose-v1", "rolling"), *(("compose-v2", strategy) for strategy in ("rolling", "recreate", "blue-green"))],
    indirect=["either_project"],
)
def test_only_what_the_target_needs_is_touched(shop, strategy):
    """The file has changed for all; what the target needs has more containers than the file says."""
    app = {"depends_on": ["backend"]}
    unrelated = {"tests": {}, "broken": {"image": "f2-no-image:1"}}
    project = shop(app=app, backend={"depends_on": ["db"]}, db={}, worker={}, **unrelated)
    compose(project, "up", "-d", "--scale", "backend=3", "--scale", "worker=2", "backend", "db", "worker")
    assert project.deploy().code == 0
    before = ids(project, "backend", "db", "worker", "tests", "broken")
    assert [len(found) for found in before.values()] == [3, 1, 2, 0, 0]

    shop(2, app=app, backend={"depends_on": ["db"], "environment": {"NEW": "1"}}, db={}, worker={}, **unrelated)
    done = project.deploy("--strategy", strategy)

    assert done.code == 0, done.text
    assert project.get() == (200, "version 2\n")
    assert ids(project, *before) == before
    assert project.run("scale", "2").code == 0
    assert ids(project, *before) == before


@with_v2
def test_more_is_touched_by_name_with_its_count(shop):
    project = shop(worker={}, other={})
    compose(project, "up", "-d", "--scale", "worker=3", "worker", "other")
    before = ids(project, "worker", "other")

    shop(2, worker={"environment": {"NEW": "1"}}, other={"environment": {"NEW": "1"}})
    done = project.deploy("--side", "worker")

    assert done.code == 0, done.text
    after = ids(project, "worker", "other")
    assert after["other"] == before["other"]
    assert len(after["worker"]) == 3 and not after["worker"] & before["worker"]
    assert project.deploy("--with-sides").code == 0
    assert ids(project, "other")["other"] != before["other"]
    refused = project.deploy("--side", "wroker")
    assert refused.code == 2
    assert "--side 'wroker'" in refused.text
    assert "it has: app, " in refused.text


@with_v2
def test_a_plain_up_changes_nothing_afterwards(shop):
    services = {"app": {"depends_on": ["backend"]}, "backend": {}, "worker": {}}
    project = shop(**services)
    compose(project, "up", "-d")
    for version in (2, 1):
        (project.folder / "docker-compose.yml").unlink()
        shop(version, **{**services, "backend": {"image": project.image(1)}, "worker": {"image": project.image(1)}})
        assert project.deploy().code == 0
    before = ids(project, "app", "backend", "worker")

    project.plain_up()

    assert ids(project, *before) == before


@with_v2
def test_a_revert_leaves_what_was_there_in_the_state_that_it_had(shop):
    app = {"depends_on": ["backend"]}
    project = shop(app=app, backend={})
    compose(project, "up", "-d", "--scale", "app=2")
    stopped = next(iter(project.containers("app")))
    docker(project, "stop", "-t", "0", stopped)
    docker(project, "stop", "-t", "0", *project.containers("backend"))
    before = ids(project, "app", "backend")

    shop(2, app={**app, "command": ["/bin/sh", "-c", "exit 3"]}, backend={"environment": {"NEW": "1"}})
    failed = project.deploy("--side", "backend")

    assert failed.code == 5, failed.text
    assert ids(project, "app")["app"] == before["app"]
    assert stopped not in project.containers("app")
    assert project.containers("backend") == {}, "it had ended"
    (backend,) = project.containers("backend", every=True)
    assert "NEW=1" not in docker(project, "inspect", "-f", "{{.Config.Env}}", backend)


@with_v2
def test_a_first_deploy_that_fails_leaves_nothing(shop):
    project = shop(app={"depends_on": ["backend"], "command": ["/bin/sh", "-c", "exit 3"]}, backend={})

    failed = project.deploy()

    assert failed.code == 5, failed.text
    assert "nothing had served before, and what was started is removed" in failed.text
    assert ids(project, "app", "backend") == {"app": set(), "backend": set()}
    assert networks(project) == ""


@with_v2
def test_a_first_deploy_whose_test_says_no_leaves_nothing(shop, tmp_path):
    project = shop(app={"depends_on": ["backend"]}, backend={})
    held = project.deploy("--hold", "--key-file", str(tmp_path / "key"))
    assert held.code == 0, held.text
    assert networks(project) != ""

    aborted = project.run("abort", compose=False)

    assert aborted.code == 0, aborted.text
    assert ids(project, "app", "backend") == {"app": set(), "backend": set()}
    assert networks(project) == ""


@with_v2
def test_what_others_use_of_the_network_is_said(shop, image):
    project = shop(app={"command": ["/bin/sh", "-c", "/bin/busybox sleep 3; exit 3"]})
    deploying = project.deploying()
    said = project.until(deploying, "waiting for")
    other = docker(project, "run", "-d", "--network", f"{project.name}_default", image(1))
    try:
        failed = project.finish(deploying, said)
        assert failed.code == 5, failed.text
        assert f"nothing had served before; still there: network {project.name}_default" in failed.text
    finally:
        docker(project, "rm", "-f", other)


RAN = ["/bin/sh", "-c", "/bin/busybox echo ran >> /runs/log"]


@with_v2
def test_a_one_shot_runs_once_a_deploy_and_not_when_scaled(shop, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    volumes = {"volumes": [f"{runs}:/runs"]}
    done = {"migrate": {"condition": "service_completed_successfully"}}
    app = {"depends_on": done}
    project = shop(app=app, migrate={"command": RAN, **volumes})

    def count() -> int:
        return len((runs / "log").read_text().splitlines())

    assert project.deploy("--scale", "2").code == 0
    assert count() == 1
    shop(2, app=app, migrate={"command": RAN, **volumes})
    assert project.deploy("--batch", "1").code == 0
    assert count() == 2
    (migrate,) = project.containers("migrate", every=True)
    assert docker(project, "inspect", "-f", "{{.Config.Image}}", migrate) == project.image(2)
    assert project.run("scale", "3").code == 0
    assert project.run("scale", "1").code == 0
    assert count() == 2
    for number, strategy in enumerate(("recreate", "blue-green"), 3):
        ended = project.deploy("--strategy", strategy)
        assert ended.code == 0, ended.text
        assert count() == number


@with_v2
def test_when_a_need_fails_its_lines_are_shown(shop):
    done = {"migrate": {"condition": "service_completed_successfully"}}
    fails = ["/bin/sh", "-c", "/bin/busybox echo no such table; exit 7"]
    project = shop(app={"depends_on": done}, migrate={"command": fails})

    failed = project.deploy()

    assert failed.code == 5, failed.text
    assert "no such table" in failed.text
    (entry,) = failed.report["failing"]
    assert "migrate" in entry["container"] and entry["log"] == ["no such table"]
    assert ids(project, "app", "migrate") == {"app": set(), "migrate": set()}


@with_v2
def test_a_one_shot_is_put_back_by_a_revert(shop):
    done = {"migrate": {"condition": "service_completed_successfully"}}
    ok = ["/bin/sh", "-c", "/bin/busybox echo one"]
    project = shop(app={"depends_on": done}, migrate={"command": ok})
    assert project.deploy().code == 0

    shop(2, app={"depends_on": done}, migrate={"command": ["/bin/sh", "-c", "exit 7"]})
    failed = project.deploy()

    assert failed.code == 5, failed.text
    assert project.get() == (200, "version 1\n")
    (migrate,) = project.containers("migrate", every=True)
    assert docker(project, "inspect", "-f", "{{.Config.Image}}", migrate) == project.image(1)


VOLUME = """FROM {base}
VOLUME /data
"""


def dangling(project) -> set[str]:
    return set(docker(project, "volume", "ls", "-q", "--filter", "dangling=true").split())


@pytest.mark.parametrize(
    ("either_project", "by_image"),
    [("compose-v1", True), ("compose-v2", True), ("compose-v2", False)],
    ids=["v1-VOLUME", "v2-VOLUME", "v2-unnamed volume"],
    indirect=["either_project"],
)
def test_a_volume_without_a_name_is_kept(shop, build_image, by_image):
    def app(version):
        base = shop(1).image(version)
        if by_image:
            return {"image": build_image(VOLUME.format(base=base))}
        return {"image": base, "volumes": ["/data"]}

    project = shop(app=app(1))
    assert project.deploy().code == 0
    (old,) = project.containers()
    docker(project, "exec", old, "/bin/sh", "-c", "/bin/busybox echo kept > /data/file")
    before = dangling(project)

    shop(app=app(2))
    planned = project.deploy("--dry-run")
    done = project.deploy("--strategy", "rolling")

    assert "app keeps data in a volume without a name (/data)" in planned.text
    assert planned.report["plan"]["reason"].endswith("(/data), which only recreate takes over")
    assert done.code == 0, done.text
    assert done.report["strategy"] == "recreate"
    assert project.get() == (200, "version 2\n")
    (new,) = project.containers()
    assert docker(project, "exec", new, "/bin/busybox", "cat", "/data/file") == "kept"

    shop(app={**app(1), "command": ["/bin/sh", "-c", "exit 3"]})
    assert project.deploy().code == 5
    (back,) = project.containers()
    assert docker(project, "exec", back, "/bin/busybox", "cat", "/data/file") == "kept"
    assert dangling(project) <= before


@with_v2
def test_two_targets_of_a_project_wait_for_each_other(shop, machine):
    other = f"{(project := shop()).name}-back"
    back = {"ports": ["8080"], "command": SERVE, "environment": {"SERVICE_NAME": other, "BOOKS": other}}
    shop(app={"depends_on": ["back"]}, back=back)
    try:
        first = project.deploying("--target", "app", "--lock-timeout", "60")
        project.until(first, "strategy")
        argv = project.argv("deploy", "--target", "back", "--path", f"/{other}", "--probe-path", f"/{other}/")
        argv[argv.index("deploy") + 1] = other
        argv[argv.index("--report") + 1] = str(project.folder / "back.json")
        run = {"env": machine.environment, "capture_output": True, "text": True, "timeout": 200}
        refused = subprocess.run(argv, check=False, **run)
        second = subprocess.run([*argv, "--lock-timeout", "60"], check=False, **run)
        done = project.finish(first)
        assert done.code == 0, done.text
        assert refused.returncode == 4, refused.stderr
        assert f"project {project.name} is being deployed" in refused.stderr
        assert f"service {project.name}" in refused.stderr
        assert second.returncode == 0, second.stderr
        assert {name: len(found) for name, found in ids(project, "app", "back").items()} == {"app": 1, "back": 1}
    finally:
        machine.client.remove_route(other)

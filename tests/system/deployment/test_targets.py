"""Several targets in one deploy: one is routed, the others come with it, and all are reverted together."""

from __future__ import annotations

import json
import subprocess

import pytest

WORKS = ["/bin/busybox", "sleep", "1000"]
CRASHES = ["/bin/sh", "-c", "echo no queue; exit 3"]


@pytest.fixture
def pair(project):
    """``pair(version)`` writes a compose file of an app, two workers, and one who has nothing to do with it."""

    def write(version: int = 1, *, fault: str = "", works: list[str] = WORKS, **worker):
        image = project.image(version)
        project.compose(version, fault)
        file = project.folder / "docker-compose.yml"
        services = json.loads(file.read_text())["services"]
        other = {"image": image, "stop_grace_period": "1s"}
        services["worker"] = {**other, "command": works, "deploy": {"replicas": 2}, **worker}
        services["other"] = {**other, "command": WORKS}
        file.write_text(json.dumps({"services": services}))
        return project

    return write


def images(project, service: str) -> list[str]:
    argv = [project.docker, "inspect", "--format", "{{.Config.Image}}", *project.containers(service)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


def test_one_deploy_brings_all_targets_to_the_file_or_none(pair):
    project = pair()
    first = project.deploy("--target", "app", "--target", "worker")
    assert first.code == 0, first.text
    assert len(project.containers("worker")) == 2
    assert project.containers("other") == {}
    before = {name: project.containers(name) for name in ("app", "worker", "db")}

    # The one that is routed fails: nothing of the other was touched.
    pair(2, fault="answers 500")
    failed = project.deploy("--target", "app,worker")
    assert failed.code == 6, failed.text
    assert {name: project.containers(name) for name in before} == before

    # The other one fails: no user has met the new version of the first.
    pair(2, works=CRASHES)
    with project.users() as lost:
        failed = project.deploy("--target", "app", "--target", "worker")
        served = project.get()
    assert failed.code == 5, failed.text
    assert "no queue" in failed.report["error"]["message"]
    assert "and worker as before" in failed.report["error"]["message"]
    assert (lost, served) == ([], (200, "version 1\n"))
    assert project.containers() == before["app"]
    assert images(project, "worker") == [project.image(1)] * 2
    assert "promote:" not in failed.text

    pair(2)
    done = project.deploy("--target", "app", "--target", "worker")
    assert done.code == 0, done.text
    assert project.get() == (200, "version 2\n")
    assert images(project, "worker") == [project.image(2)] * 2
    assert project.containers("db") == before["db"]
    assert project.containers("other") == {}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--target", "app", "--target", "wroker"], "--target 'wroker': project", "it has: app, "),
        (["--target", "app,,worker"], "--target has an empty name", "with each"),
        (["--target", "app,worker", "--hold", "--key-file", "key"], "--hold keeps the candidates of one", "by itself"),
        (["--target", "app,worker"], "image f2-no-image:1 is not on the engine", ""),
    ],
)
def test_what_cannot_go_with_the_first(pair, words, message, hint):
    missing = {"image": "f2-no-image:1"} if words == ["--target", "app,worker"] else {}
    project = pair(**missing)

    refused = project.deploy(*words)

    assert refused.code == 2, refused.text
    assert message in refused.text and hint in refused.text
    assert project.containers(every=True) == {}


def test_the_plan_names_what_goes_with_the_first_and_what_the_file_says(pair):
    project = pair(works=CRASHES, depends_on=["app"])
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    known["services"]["app"]["healthcheck"] = {"test": ["CMD", "/bin/busybox", "true"], "start_period": "60s"}
    file.write_text(json.dumps(known))

    words = ("--target", "app", "--target", "worker", "--dry-run")
    argv = project.argv("deploy", "--path", f"/{project.name}", *words)
    subprocess.run(argv, env=project.machine.environment, check=True, capture_output=True)
    plan = json.loads((project.folder / "report.json").read_text())["plan"]

    verify = plan["steps"].index("verify each new instance through the entry")
    assert plan["steps"][verify + 1] == "compose-v2 up: worker; wait until each is steady"
    assert plan["from_file"].startswith(
        "from the compose file: --check-timeout 60 (healthcheck.start_period), --timeout"
    )

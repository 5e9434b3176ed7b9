"""Which project a deploy goes into, and whose containers it meets there: real containers of each compose."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.system.deployment.conftest import FAULTS


@pytest.fixture
def shop(either_project):
    """A service whose compose file people run by hand, too."""
    return either_project


def typed(project, *words: str) -> None:
    """What a person types in the folder."""
    program = [project.docker, "compose"] if project.flavour == "compose-v2" else ["docker-compose"]
    subprocess.run([*program, *words], cwd=project.folder, check=True, capture_output=True)


def deploy(project, *words: str, environ: dict[str, str] | None = None):
    """A deploy that is not told a project."""
    argv = [word for word in project.argv("deploy", *project.route, *words) if word not in ("-p",)]
    at = argv.index("-f") + 2
    assert argv[at] == project.name
    done = subprocess.run(
        [*argv[:at], *argv[at + 1 :]],
        env={**project.machine.environment, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return project.ended(done.returncode, done.stderr)


def running(project, name: str, service: str = "app") -> dict[str, str]:
    return project.containers(service, project=name)


@pytest.fixture
def gone(docker):
    """``gone(name)``: the project goes with the test."""
    names = []
    yield names.append
    for name in names:
        for kind, end in (("ps -aq", "rm -fv"), ("network ls -q", "network rm"), ("images -q", "rmi -f")):
            argv = [docker, *kind.split(), "--filter", f"label=com.docker.compose.project={name}"]
            found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
            if found:
                subprocess.run([docker, *end.split(), *set(found)], capture_output=True, check=False)


def test_what_people_run_from_this_file_is_taken_over(shop, gone):
    name = f"{shop.name}-by-hand"
    gone(name)
    shop.compose(1)
    typed(shop, "-p", name, "up", "-d")
    database = running(shop, name, "db")
    shop.compose(2)

    done = deploy(shop)

    assert done.code == 0, done.text
    assert f"* project {name}: containers of these files run in it" in done.text
    assert running(shop, shop.name) == {}
    assert len(running(shop, name, "db")) == len(database) == 1
    assert len(running(shop, name)) == 1
    assert shop.get() == (200, "version 2\n")


def test_the_files_name_is_the_projects(project, gone):
    name = f"{project.name}-named"
    gone(name)
    project.compose(1)
    file = project.folder / "docker-compose.yml"
    file.write_text(json.dumps({"name": name, **json.loads(file.read_text())}))
    typed(project, "up", "-d")

    done = deploy(project)

    assert done.code == 0, done.text
    assert f"* project {name}: the name: in docker-compose.yml" in done.text
    assert (len(running(project, name)), running(project, project.name)) == (1, {})
    assert len(running(project, name, "db")) == 1


def test_the_environments_word_is_the_projects(project, gone):
    name = f"{project.name}-said"
    gone(name)
    project.compose(1)

    done = deploy(project, environ={"COMPOSE_PROJECT_NAME": name})

    assert done.code == 0, done.text
    assert len(running(project, name)) == 1


def test_the_containers_of_another_project_are_named_before_users_are_split(project, gone):
    name = f"{project.name}-other"
    gone(name)
    project.compose(1)
    typed(project, "-p", name, "up", "-d")
    first = project.run("wait", "--timeout", "30", compose=False)
    assert first.code == 0, first.text
    project.compose(2)

    done = project.deploy()

    assert done.code == 2, done.text
    assert f"of project {name}, service app at" in done.report["error"]["message"]
    assert f"-p {name}" in done.text
    assert project.containers(every=True) == {}

    adopted = project.deploy("--adopt")

    assert adopted.code == 0, adopted.text
    assert running(project, name) == {}
    assert len(running(project, name, "db")) == 1
    assert len(project.containers()) == 1
    assert {project.get() for _ in range(6)} == {(200, "version 2\n")}


def test_what_was_to_be_taken_over_serves_on_after_a_failure(project, gone):
    name = f"{project.name}-other"
    gone(name)
    project.compose(1)
    typed(project, "-p", name, "up", "-d")
    assert project.run("wait", "--timeout", "30", compose=False).code == 0
    before = running(project, name)
    project.compose(2, "answers 500")

    done = project.deploy("--adopt", "--timeout", "30")

    assert done.code == 6, done.text
    assert running(project, name) == before
    assert project.containers(every=True) == {}


def test_a_build_is_the_one_that_goes_live(project, gone):
    project.compose(1)
    folder = project.folder.name.lower()
    gone(folder)
    context = project.folder / "src"
    context.mkdir()
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    app = known["services"]["app"]
    app.pop("image")
    app["build"] = "src"
    file.write_text(json.dumps(known))
    (context / "Dockerfile").write_text(f"FROM {project.image(1)}\n")
    assert project.deploy().code == 0
    (context / "Dockerfile").write_text(f"FROM {project.image(2)}\nLABEL made=later\n")
    typed(project, "-p", folder, "build")

    old = project.deploy()
    new = project.deploy("--build")

    assert (old.code, new.code) == (0, 0), old.text + new.text
    assert "is a newer build of app than this project's own: --build" in old.text
    assert "newer build" not in new.text
    assert project.get() == (200, "version 2\n")


def test_a_target_in_a_profile_is_found_and_started(project):
    project.compose(1, profiles=["web"])
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    known["services"]["db"]["profiles"] = ["web"]
    known["services"]["jobs"] = {"image": project.image(1), "profiles": ["jobs"]}
    file.write_text('version: "2.4"\n' + as_yaml(known))

    done = project.deploy("--target", "app")
    again = project.deploy("--profile", "web")

    assert (done.code, again.code) == (0, 0), done.text + again.text
    assert len(project.containers()) == 1
    assert len(project.containers("db")) == 1
    assert project.containers("jobs", every=True) == {}


def as_yaml(known: dict) -> str:
    return "services: " + json.dumps(known["services"]) + "\n"


def test_what_lives_in_the_targets_network_comes_up_with_it(project):
    """The one that answers publishes no port: the one in whose network it lives does."""
    project.compose(1)
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    app = known["services"].pop("app")
    known["services"] = {
        "vpn": {**app, "command": ["/bin/busybox", "sleep", "1000"], "depends_on": []},
        "app": {**{k: app[k] for k in ("image", "environment")}, "network_mode": "service:vpn"},
    }
    file.write_text('version: "2.4"\n' + as_yaml(known))

    done = project.deploy()
    known["services"]["app"]["image"] = project.image(2)
    file.write_text('version: "2.4"\n' + as_yaml(known))
    again = project.deploy("--target", "app")

    assert (done.code, again.code) == (0, 0), done.text + again.text
    assert "target vpn: app lives in its network" in again.text
    assert project.get() == (200, "version 2\n")

    # Both are made anew by the next one, which is bad: both are as before, and it is the old image that answers.
    known["services"]["app"].update(image=project.image(1), command=FAULTS["answers 500"]["command"])
    known["services"]["vpn"]["environment"]["NEW"] = "1"
    file.write_text('version: "2.4"\n' + as_yaml(known))
    bad = project.deploy("--timeout", "60")

    assert bad.code == 6, bad.text
    assert bad.report["rolled_back"] is True, bad.text
    assert project.get() == (200, "version 2\n")


def test_a_file_of_the_first_version_by_every_strategy(project, compose_v1):
    version = 'app:\n  image: "{}"\n  ports: ["8080"]\n  environment: {{SERVICE_NAME: {}, BOOKS: {}}}\n  links: [db]\n'
    side = 'db:\n  image: "{}"\n  command: ["/bin/busybox", "sleep", "1000"]\n'
    file = project.folder / "docker-compose.yml"
    project.flavour = "auto"
    for number, strategy in enumerate(("rolling", "rolling", "blue-green", "recreate")):
        image = project.image(1 + number % 2)
        file.write_text(version.format(image, project.name, project.name) + side.format(project.image(1)))
        done = project.deploy("--strategy", strategy)

        assert done.code == 0, done.text
        assert "using compose-v1 1.29.2: " in done.text
        assert project.get() == (200, f"version {1 + number % 2}\n")


def test_v2_alone_says_what_the_first_version_is(project):
    (project.folder / "docker-compose.yml").write_text("app: {image: x, ports: ['8080']}\n")
    done = project.deploy()

    assert done.code == 2, done.text
    assert "the form of compose's first version, without services:" in done.report["error"]["message"]
    assert "For more" not in done.text


def test_a_port_that_is_published_and_exposed_is_one(project):
    project.compose(1, expose=["8080"])
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    known["services"]["db"]["expose"] = ["5432"]
    known["services"]["db"]["environment"] = {"SERVICE_NAME": f"{project.name}-db"}
    file.write_text('version: "2.4"\n' + as_yaml(known))

    done = project.deploy()

    assert done.code == 0, done.text
    assert project.machine.registry.instances(f"{project.name}-db")[0] == []


def test_tcp_alone_is_a_targets_port(project):
    project.compose(
        1, ports=["8080", "9053/udp"], environment={"SERVICE_8080_NAME": project.name, "BOOKS": project.name}
    )
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    known["services"]["db"]["ports"] = ["53/udp"]
    file.write_text('version: "2.4"\n' + as_yaml(known))

    done = project.deploy()
    again = project.deploy("--strategy", "blue-green")

    assert (done.code, again.code) == (0, 0), done.text + again.text
    assert project.get() == (200, "version 1\n")


def test_without_a_proxy_a_loop_of_restarts_is_no_success(project):
    project.compose(1, command=["/bin/sh", "-c", "echo no database; exit 3"], restart="always")

    done = project.run("deploy", "--no-proxy", "--timeout", "40")

    assert done.code == 5, done.text
    assert "restarts again and again (exit code 3): no database" in done.report["error"]["message"]


def test_every_problem_of_the_project_is_in_one_answer(project, docker):
    project.compose(
        1,
        image="127.0.0.1:9/f2-none:1",
        ports=["18080:8080"],
        networks=["edge"],
        secrets=["word"],
        environment={"SERVICE_NAME": project.name, "SERVICE_CHECK_SCRIPT": "curl", "SERVICE_IGNORE": "no"},
    )
    file = project.folder / "docker-compose.yml"
    known = json.loads(file.read_text())
    known["networks"] = {"edge": {"external": True, "name": f"{project.name}-edge"}}
    known["secrets"] = {"word": {"file": "./no-word"}}
    file.write_text(json.dumps(known))

    done = project.deploy("--scale", "2")

    message = done.report["error"]["message"]
    assert done.code == 2, done.text
    for words in (
        "2 instances cannot run beside each other: app publishes the fixed host port 18080",
        f"the external network {project.name}-edge is not there",
        "no-word of the secret word is not there",
        "SERVICE_IGNORE=no",
        "SERVICE_CHECK_SCRIPT",
        "image 127.0.0.1:9/f2-none:1 is not on the engine, and cannot be pulled",
    ):
        assert words in message
    assert f"docker network create {project.name}-edge" in done.report["error"]["hint"]
    assert project.containers(every=True) == {}

"""What compose v1 and v2 really do, against a real engine: v1, whose calls take longest, where it may differ."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import pytest

from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.errors import DeployFailed, DockerError, UsageError
from jenkins_proxy.retry import Deadline

BOOKS = """version: "2"
services:
  app:
    image: "{1}"
    ports: ["8080"]
    depends_on: [db]
    stop_grace_period: 1s
  db:
    image: "{1}"
    stop_grace_period: 1s
"""
NEW_BOOKS = BOOKS.replace("{1}", "{2}", 1)


with_v2 = pytest.mark.parametrize("flavour", ["compose-v2"])


def ids(containers) -> list[str]:
    return [container.id for container in containers]


def seen(containers) -> list[tuple]:
    """What a change would show in; this machine's addresses come and go with other projects' networks."""
    return [(container.id, container.name, container.state, container.bindings) for container in containers]


def test_up_starts_every_service_and_tells_its_containers(compose, deadline, image, project_name):
    books = compose(BOOKS)
    books.up(deadline=deadline)
    (app,) = books.containers("app")
    assert sorted(container.service for container in books.containers()) == ["app", "db"]
    assert (app.project, app.image, app.running, app.health) == (project_name, image(1), True, "")
    assert {binding.container_port for binding in app.bindings} == {8080}
    assert "127.0.0.1" in app.node_addresses
    port = app.bindings[0].host_port
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


@with_v2
def test_target_is_the_service_that_publishes(compose):
    assert compose(BOOKS).validate().target().name == "app"


def test_surge_leaves_the_old_alone_and_a_plain_up_changes_nothing_afterwards(compose, deadline, image):
    old = compose(BOOKS)
    old.up(scale={"app": 2}, deadline=deadline)
    before = old.containers("app")
    books = compose(NEW_BOOKS)
    books.up(["db"], deadline=deadline)
    new = books.surge("app", 2, deadline=deadline)
    assert [container.image for container in new] == [image(2)] * 2
    assert ids(books.containers("app")) == ids(before) + ids(new)
    assert all(container.running for container in books.containers("app"))
    for container in before:
        books.remove(container)
    after = seen(books.containers())
    books.up(scale={"app": 2}, deadline=deadline)
    assert seen(books.containers()) == after
    books.remove(new[1])
    after = seen(books.containers())
    books.up(deadline=deadline)
    assert seen(books.containers()) == after, "a plain `up -d` of a single instance changes nothing either"


@with_v2
def test_surge_leaves_what_ended_as_it_is(compose, deadline, image):
    old = compose(BOOKS)
    old.up(scale={"app": 2}, deadline=deadline)
    first, second = old.containers("app")
    old.stop(second)
    new = compose(NEW_BOOKS).surge("app", 1, deadline=deadline)
    assert [container.image for container in new] == [image(2)]
    assert new[0].running
    assert {one.id: one.state for one in old.containers("app")} == {
        first.id: "running",
        second.id: "exited",
        new[0].id: "running",
    }


@with_v2
def test_up_gives_the_count_of_the_file_whatever_runs(compose, deadline):
    books = compose(BOOKS)
    books.up(["app"], scale={"app": 3}, deadline=deadline)
    first = books.containers("app")[0]
    books.up(deadline=deadline)
    assert ids(books.containers("app")) == [first.id]


def test_scale_recreates_nothing(compose, deadline):
    compose(BOOKS).up(deadline=deadline)
    books = compose(NEW_BOOKS)
    before = ids(books.containers())
    books.scale("app", 2, deadline=deadline)
    assert set(before) < set(ids(books.containers()))
    assert len(books.containers("app")) == 2


def test_restore_brings_back_image_settings_and_count(compose, deadline, engine, image, tagged):
    settings = "environment: {COLOUR: blue}\n    volumes: [/data]\n    ports:"
    text = BOOKS.replace("{1}", tagged(image(1)), 1).replace("ports:", settings)
    old = compose(text)
    old.up(scale={"app": 2}, deadline=deadline)
    before = old.containers("app")
    snapshot = old.snapshot("app")
    # The same tag, built again, with other settings: what a Jenkins job does to `latest`.
    tagged(image(2))
    new = compose(text.replace("blue", "green"))
    new.up(deadline=deadline)
    (failing,) = new.containers("app")
    assert failing.image_id != before[0].image_id
    after = new.restore([snapshot], deadline=deadline)
    assert [container.image_id for container in after] == [before[0].image_id] * 2
    assert [container.name for container in after] == [container.name for container in before]
    assert failing.id not in ids(after)
    for container in after:
        assert "COLOUR=blue" in engine.inspect(container.id)["Config"]["Env"]
        assert container.bindings
    assert volumes(engine.inspect(container.id) for container in after) == volumes(snapshot.definitions)
    compose(text).up(scale={"app": 2}, deadline=deadline)
    assert ids(old.containers("app")) == ids(after), "compose sees them as its own"


@pytest.fixture
def tagged(engine, docker):
    """``tagged(image)`` is one name for the image that was given last, as a Jenkins job's ``latest`` is."""
    name = f"f1-{uuid.uuid4().hex[:8]}-ms:latest"

    def tag(image: str) -> str:
        engine.tag(engine.image_id(image), name)
        return name

    yield tag
    subprocess.run([docker, "rmi", "-f", name], check=True, capture_output=True)


def volumes(definitions) -> set[str]:
    return {mount["Name"] for definition in definitions for mount in definition["Mounts"]}


@with_v2
def test_restore_starts_what_was_stopped_and_removes_what_came(compose, deadline):
    old = compose(BOOKS)
    old.up(["app"], deadline=deadline)
    snapshot = old.snapshot("app")
    new = compose(NEW_BOOKS)
    new.surge("app", 1, deadline=deadline)
    new.stop(snapshot.containers[0])
    assert ids(new.restore([snapshot], deadline=deadline)) == ids(snapshot.containers)
    assert ids(new.restore([snapshot], deadline=deadline)) == ids(snapshot.containers), "again changes nothing"


@with_v2
def test_restore_of_nothing_removes_the_first_deploy(compose, deadline):
    books = compose(BOOKS)
    nothing = books.snapshot("app")
    books.up(deadline=deadline)
    assert books.restore([nothing], deadline=deadline) == []
    assert [container.service for container in books.containers()] == ["db"]


CHAIN = """version: "2.4"
services:
  app:
    image: "{1}"
    ports: ["8080"]
    depends_on: {migrate: {condition: service_completed_successfully}, cache: {condition: service_started}}
    stop_grace_period: 1s
  migrate:
    image: "{1}"
    command: ["/bin/sh", "-c", "/bin/busybox echo ran"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: "{1}"
    command: ["/bin/sh", "-c", "/bin/busybox sleep 2; /bin/busybox touch /ready; exec /bin/busybox sleep 1000"]
    healthcheck: {test: ["CMD", "/bin/busybox", "test", "-f", "/ready"], interval: 1s}
    stop_grace_period: 1s
  cache:
    image: "{1}"
    stop_grace_period: 1s
"""


@with_v2
def test_needs_are_started_once_in_order_and_what_runs_is_left_alone(compose, deadline, docker, image):
    books = compose(CHAIN)
    books.up(["cache"], scale={"cache": 2}, deadline=deadline)
    cache = ids(books.containers("cache"))
    books.start_needs(["app"], deadline=deadline)
    (db,), (migrate,) = books.containers("db"), books.containers("migrate")
    assert (db.health, migrate.state, migrate.exit_code) == ("healthy", "exited", 0)
    books.up(["app"], scale={"app": 2}, deadline=deadline)
    books.surge("app", 1, deadline=deadline)
    books.scale("app", 1, deadline=deadline)
    assert books.logs(migrate) == ["ran"]
    subprocess.run([docker, "pause", cache[0]], check=True, capture_output=True)
    new = compose(CHAIN.replace("{1}", "{2}"))
    new.start_needs(["app"], deadline=deadline)
    assert ids(new.containers("db")) == [db.id]
    assert ids(new.containers("cache")) == cache
    (again,) = new.containers("migrate")
    assert (again.id == migrate.id, again.image, new.logs(again)) == (False, image(2), ["ran"])
    new.up(["app"], deadline=deadline)
    new.start_needs(["app"], done=["cache", "db", "migrate"], deadline=deadline)
    assert new.logs(again) == ["ran"]
    (app,) = new.containers("app")
    assert (app.running, app.image) == (True, image(2))
    assert {one.id: one.state for one in new.containers("cache")} == {cache[0]: "paused", cache[1]: "running"}
    assert ids(new.containers("db")) == [db.id]
    subprocess.run([docker, "unpause", cache[0]], check=True, capture_output=True)


def test_a_need_that_fails_is_told_with_its_last_line(compose, deadline):
    books = compose(CHAIN.replace("echo ran", "echo no such table; exit 7"))
    with pytest.raises(DeployFailed, match=r"migrate.1 ended with exit code 7: no such table"):
        books.start_needs(["app"], deadline=deadline)


@with_v2
@pytest.mark.parametrize("state", ["exited", "paused", "restarting"])
def test_restore_puts_back_the_state_that_a_container_had(compose, deadline, docker, state, wait_for):
    crash = '    restart: always\n    command: ["/bin/sh", "-c", "exit 3"]\n'
    books = compose(BOOKS.replace("    depends_on", crash + "    depends_on") if state == "restarting" else BOOKS)
    books.up(["app"], deadline=deadline)
    (app,) = books.containers("app")
    if state == "paused":
        subprocess.run([docker, "pause", app.id], check=True, capture_output=True)
    elif state == "exited":
        books.stop(app)

    def states() -> list[tuple[str, str]]:
        return [(container.name, container.state) for container in books.containers("app")]

    wait_for(lambda: states() == [(app.name, state)], f"it is {state}")
    snapshot = books.snapshot("app")
    books.restore([snapshot], deadline=deadline)
    wait_for(lambda: states() == [(app.name, state)], f"it is {state} still")
    assert ids(books.containers("app")) == [app.id]
    books.remove(app)
    books.restore([snapshot], deadline=deadline)
    # What had ended is there again, and is not run for that.
    wait_for(lambda: states() == [(app.name, "created" if state == "exited" else state)], f"it is {state} again")


@with_v2
def test_logs_and_health_of_a_container_that_dies(compose, deadline, wait_for):
    books = compose("""version: "2.1"
services:
  app:
    image: "{1}"
    command: ["/bin/sh", "-c", "/bin/busybox echo out; /bin/busybox echo 'no database' >&2; exit 3"]
    ports: ["8080"]
""")
    books.up(deadline=deadline)
    (app,) = wait_for(lambda: [one for one in books.containers("app") if one.state == "exited"], "it dies")
    assert app.exit_code == 3
    assert sorted(books.logs(app)) == ["no database", "out"]
    assert len(books.logs(app, 1)) == 1
    assert (books.health_output(app), app.health) == ("", "")
    books.remove(app)
    books.remove(app)
    books.stop(app)
    assert books.containers() == []
    assert (books.logs(app), books.health_output(app)) == ([], "")


@with_v2
def test_health_output_is_what_the_check_printed(compose, deadline, wait_for):
    books = compose("""version: "2.1"
services:
  app:
    image: "{1}"
    ports: ["8080"]
    healthcheck: {test: ["CMD", "/bin/sh", "-c", "/bin/busybox echo no database; exit 1"], interval: 1s, retries: 1}
    stop_grace_period: 1s
""")
    books.up(deadline=deadline)
    (app,) = wait_for(lambda: [one for one in books.containers() if one.health == "unhealthy"], "it is unhealthy")
    assert books.health_output(app) == "no database"


@with_v2
def test_stop_takes_as_long_as_the_file_gives_the_container(compose, deadline):
    # As process 1, `httpd` does nothing about SIGTERM.
    books = compose(BOOKS)
    books.up(["app"], deadline=deadline)
    (app,) = books.containers("app")
    begin = time.monotonic()
    books.stop(app)
    assert 1 <= time.monotonic() - begin < 8, "without stop_grace_period it would be 10 s"
    assert [one.state for one in books.containers("app")] == ["exited"]


def test_a_color_has_its_secrets(compose, deadline, docker, tmp_path):
    (tmp_path / "word").write_text("open sesame")
    text = BOOKS.replace('"2"', '"3.7"').replace("    depends_on", "    secrets: [word]\n    depends_on")
    books = compose(text + "secrets: {word: {file: ./word}}\n")
    books.up(["app"], deadline=deadline)
    blue = books.for_color("app", service="books-ms", color="blue")
    try:
        blue.up(["app"], deadline=deadline)
        argv = [docker, "exec", blue.containers()[0].id, "/bin/busybox", "cat", "/run/secrets/word"]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "open sesame"
    finally:
        for container in blue.containers():
            blue.remove(container)


@with_v2
def test_containers_of_compose_run_are_nobodys_instances(compose, deadline, docker, project_name, image):
    books = compose(BOOKS)
    books.up(["app"], deadline=deadline)
    labels = {"project": project_name, "service": "app", "oneoff": "True"}
    flags = [word for key, value in labels.items() for word in ("--label", f"com.docker.compose.{key}={value}")]
    subprocess.run([docker, "run", "-d", *flags, image(1)], check=True, capture_output=True)
    assert len(books.containers("app")) == 1


@with_v2
def test_pull_leaves_alone_what_is_built(compose, deadline, capsys):
    books = compose(BOOKS.replace('image: "{1}"', 'build: .\n    image: "{1}"'))
    books.pull(deadline=deadline)
    assert "pull" not in capsys.readouterr().err


def test_pull_that_fails_says_what_to_do(compose, deadline):
    with pytest.raises(DeployFailed, match="pull of project .* failed: ") as caught:
        compose(BOOKS.replace("{1}", "127.0.0.1:9/f1-nope:1", 1)).pull(["app"], deadline=deadline)
    assert "127.0.0.1:9" in caught.value.message
    assert "build the image" in caught.value.hint


def test_an_image_that_is_not_there(compose, deadline):
    with pytest.raises(DeployFailed, match="image 127.0.0.1:9/f1-nope:1 is not on the engine") as caught:
        compose(BOOKS.replace("{1}", "127.0.0.1:9/f1-nope:1", 1)).up(deadline=deadline)
    assert "build the image" in caught.value.hint


def test_a_host_port_that_is_taken(compose, deadline):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeployFailed, match=rf"up of project .* failed: .*{port}.*address already in use") as caught:
            compose(BOOKS.replace('"8080"', f'"{port}:8080"')).up(deadline=deadline)
    assert "publish a dynamic one" in caught.value.hint


@with_v2
def test_time_runs_out(compose):
    books = compose(BOOKS)
    with pytest.raises(DeployFailed, match=r"up of project .* did not end in time \(\d s of 0.05 s\)"):
        books.up(deadline=Deadline(0.05))


def test_the_engine_goes_away(compose, deadline, tmp_path, monkeypatch):
    books = compose(BOOKS)
    gone = f"unix://{tmp_path}/gone.sock"
    environment = {**books._runner.environment, "DOCKER_HOST": gone}
    monkeypatch.setattr(books, "_runner", dataclasses.replace(books._runner, environment=environment))
    monkeypatch.setattr(books, "_engine", Engine(Endpoint(gone, "test")))
    with pytest.raises(DockerError, match="no Docker Engine answers at unix://.*/gone.sock: no such file"):
        books.up(deadline=deadline)


@pytest.mark.parametrize(
    "text, message",
    [
        ("services:\n  app:\n    imag: x\n", r"compose file .*docker-compose.yml: .*app.* '?imag'?"),
        ("services:\n  app: {image: x\n  b: [", r"compose file .*docker-compose.yml: yaml"),
        ("version: '2'\nservices: {}\n", "service"),
    ],
)
def test_files_that_are_broken(compose, text, message):
    with pytest.raises(UsageError, match=message):
        compose(text).validate()


PROFILES = """version: "2.4"
services:
  app: {image: "{1}", ports: ["8080"], profiles: [web], depends_on: [db], stop_grace_period: 1s}
  db: {image: "{1}", profiles: [web], stop_grace_period: 1s}
  jobs: {image: "{1}", profiles: [jobs]}
"""


def test_the_profiles_of_the_service_that_is_asked_for_are_enabled(compose, deadline):
    books = compose(PROFILES, targets=["app"])
    assert sorted(books.validate().services) == ["app", "db"]
    books.start_needs(["app"], deadline=deadline)
    books.up(["app"], deadline=deadline)
    books.scale("app", 2, deadline=deadline)
    assert sorted(container.service for container in books.containers()) == ["app", "app", "db"]


@with_v2
def test_profiles_that_are_given(compose, deadline, monkeypatch):
    assert sorted(compose(PROFILES, profiles=["jobs"]).validate().services) == ["jobs"]
    monkeypatch.setenv("COMPOSE_PROFILES", "web")
    assert sorted(compose(PROFILES, profiles=["jobs"]).validate().services) == ["app", "db", "jobs"]


@with_v2
def test_where_no_profile_is_enabled_they_are_named(compose):
    with pytest.raises(UsageError) as caught:
        compose(PROFILES).validate().target()
    assert "app (web)" in caught.value.hint


EXTERNAL = """version: "3.7"
services:
  app: {image: "{1}", ports: ["8080"], networks: [edge], volumes: ["data:/data"]}
  db: {image: "127.0.0.1:9/f1-none:1", networks: [edge]}
networks: {edge: {external: true, name: NAME-edge}}
volumes: {data: {external: true, name: NAME-data}}
"""


@with_v2
def test_what_is_there_of_that_which_a_deploy_needs(compose, docker, project_name, deadline):
    books = compose(EXTERNAL.replace("NAME", project_name))
    found = books.survey("app")
    assert {(external.kind, external.name) for external in found.missing} == {
        ("network", f"{project_name}-edge"),
        ("volume", f"{project_name}-data"),
    }
    assert found.missing_images == (), "nothing that the target needs"
    assert books.survey("db").missing_images == ("127.0.0.1:9/f1-none:1",)
    label = f"com.docker.compose.project={project_name}"
    for kind, name in (("network", "edge"), ("volume", "data")):
        argv = [docker, kind, "create", "--label", label, f"{project_name}-{name}"]
        subprocess.run(argv, check=True, capture_output=True)
    assert books.survey("app").missing == ()


@with_v2
def test_all_that_runs_is_seen_with_its_ports(compose, deadline, project_name):
    books = compose(BOOKS)
    books.up(deadline=deadline)
    (app,) = books.containers("app")
    [seen] = [container for container in books.running_anywhere() if container.id == app.id]
    assert (seen.name, seen.project, seen.service, seen.state) == (app.name, project_name, "app", "running")
    assert seen.bindings == app.bindings
    # A network that comes or goes between the two questions has an address of the node's.
    assert set(seen.node_addresses) & set(app.node_addresses)


def test_a_build_makes_the_image_of_those_that_have_one(
    compose, deadline, engine, image, tmp_path, project_name, docker
):
    (tmp_path / "Dockerfile").write_text(f"FROM {image(1)}\nLABEL made={project_name}\n")
    books = compose(BOOKS.replace('image: "{1}"', "build: .", 1))
    try:
        books.build(["app", "db"], deadline=deadline)
        made = [name for name in (f"{project_name}-app", f"{project_name}_app") if engine.image_id(name)]
        assert len(made) == 1
    finally:
        subprocess.run([docker, "rmi", f"{project_name}-app", f"{project_name}_app"], check=False, capture_output=True)

"""What compose v1 and v2 really do, against a real engine: v1, whose calls take longest, where it may differ."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.orchestrator.compose.books import BOOKS, NEW_BOOKS, ids, seen, with_v2


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

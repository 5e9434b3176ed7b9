"""What is started before a service, and what of it is there: needs, profiles, networks and volumes of others."""

from __future__ import annotations

import subprocess

import pytest

from jenkins_proxy.errors import DeployFailed, UsageError
from tests.orchestrator.compose.books import ids, with_v2

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

"""What a snapshot brings back, by compose v1 and v2 against a real engine."""

from __future__ import annotations

import subprocess
import uuid

import pytest

from tests.orchestrator.compose.books import BOOKS, NEW_BOOKS, ids, with_v2


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

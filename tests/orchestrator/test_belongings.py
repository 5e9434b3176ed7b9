"""Networks, secrets and configs of a project, on an engine in memory that holds some of them for a moment."""

from __future__ import annotations

import io
import json

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.errors import DockerError
from jenkins_proxy.orchestrator.base import COMPOSE_V2, STACK
from jenkins_proxy.orchestrator.compose.compose import Compose
from jenkins_proxy.orchestrator.runner import Program, Runner
from jenkins_proxy.orchestrator.stack import Stack
from jenkins_proxy.orchestrator.timing import Timing
from jenkins_proxy.retry import Deadline


class Engine:
    """It has networks, secrets and configs by ID; each is refused so many times, and some networks have containers."""

    def __init__(self, present, refusals=None, attached=()) -> None:
        self.present, self.refusals, self.attached = dict(present), dict(refusals or {}), set(attached)

    def get(self, path, *, params):
        filters = json.loads(params["filters"])
        if path == "/containers/json":
            ((_, asked),) = filters.items()
            return [{"Id": "c"}] if self.attached & set(asked) else []
        kind = path.strip("/").removesuffix("s")
        found = [(key, name) for key, (of, name) in self.present.items() if of == kind]
        if kind == "volume":
            return {"Volumes": [{"Name": key} for key, _ in found] or None}
        if kind == "network":
            return [{"Id": key, "Name": name} for key, name in found]
        return [{"ID": key, "Spec": {"Name": name}} for key, name in found]

    def find(self, path):
        return self.present.get(path.rpartition("/")[2])

    def delete(self, path):
        key = path.rpartition("/")[2]
        if self.refusals.get(key, 0):
            self.refusals[key] -= 1
            raise DockerError("has active endpoints")
        del self.present[key]


def orchestrator(kind, engine):
    timing = Timing(poll_min=0.001, poll_max=0.001, networks=0.05)
    runner = Runner(Program(kind, ("docker",), "2.26.1"), {}, Console(io.StringIO()), timing)
    if kind == STACK:
        return Stack(runner, reader=runner, engine=engine, project="books", files=())
    return Compose(runner, engine=engine, project="books", files=())


DEFAULT = {"n1": ("network", "books_default")}


@pytest.mark.parametrize(
    ("kind", "present", "more", "left"),
    [
        (COMPOSE_V2, DEFAULT, {}, []),
        # The engine gives the last address back a moment after its container is gone.
        (COMPOSE_V2, DEFAULT, {"refusals": {"n1": 2}}, []),
        (COMPOSE_V2, DEFAULT, {"refusals": {"n1": 1_000}}, ["network books_default"]),
        # One that is stopped could not be started again.
        (COMPOSE_V2, DEFAULT, {"attached": ["n1"]}, ["network books_default"]),
        (STACK, {**DEFAULT, "s1": ("secret", "books_key"), "c1": ("config", "books_conf")}, {}, []),
        (STACK, {"s1": ("secret", "books_key")}, {"refusals": {"s1": 1_000}}, ["secret books_key"]),
    ],
)
def test_what_a_project_has_made_goes(kind, present, more, left):
    engine = Engine({**present, "old": ("network", "books_old")}, **more)

    assert orchestrator(kind, engine).remove_belongings({"old"}, deadline=Deadline(5)) == left
    assert "old" in engine.present
    assert len(engine.present) == 1 + len(left)


@pytest.mark.parametrize(
    ("names", "more", "left", "there"),
    [
        (["books_data"], {}, [], {"books_more"}),
        (["books_data", "books_more"], {"attached": ["books_data"]}, ["books_data"], {"books_data"}),
        (["books_data", "gone"], {"refusals": {"books_data": 1}}, [], {"books_more"}),
        ([], {}, [], {"books_data", "books_more"}),
    ],
)
def test_volumes_go_that_nothing_uses(names, more, left, there):
    engine = Engine({name: ("volume", name) for name in ("books_data", "books_more")}, **more)
    books = orchestrator(COMPOSE_V2, engine)

    assert books.remove_volumes(names, deadline=Deadline(5)) == left
    assert set(books.volumes()) == there

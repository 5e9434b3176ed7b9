"""How compose is called: what is in the way of leaving a need alone. Pure; test_neighbours.py is the real thing."""

from __future__ import annotations

import pytest

from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.compose import calls


def there(state: str, exit_code: int = 0, count: int = 1) -> list[Container]:
    return [Container(str(n), f"c{n}", "", "", "", state, exit_code=exit_code) for n in range(count)]


@pytest.mark.parametrize(
    "name, needs, more, words",
    [
        pytest.param("compose-v1", {}, {}, "up -d --no-deps --scale app=2 app", id="v1"),
        pytest.param("compose-v1", {"db": there("exited")}, {}, "up -d --no-deps --scale app=2 app", id="v1, ended"),
        pytest.param("compose-v2", {}, {}, "up -d --scale app=2 app", id="v2"),
        pytest.param(
            "compose-v2",
            {"db": there("running", count=3), "gone": []},
            {},
            "up -d --scale db=3 --scale gone=0 --scale app=2 app",
            id="v2 is told the present counts",
        ),
        pytest.param(
            "compose-v2",
            {"db": there("exited")},
            {},
            "up --no-start --scale db=1 --scale app=2 app",
            id="v2 would start it again",
        ),
        pytest.param(
            "compose-v2", {"db": there("paused")}, {}, "up -d --no-deps --scale app=2 app", id="v2 fails on paused ones"
        ),
        pytest.param(
            "compose-v2",
            {"db": there("running")},
            {"changed": {"db"}},
            "up -d --no-deps --scale app=2 app",
            id="v2 would recreate it",
        ),
        pytest.param(
            "compose-v2",
            {"db": there("running")},
            {"changed": {"db"}, "recreate": False},
            "up -d --no-recreate --scale db=1 --scale app=2 app",
            id="unless it is told to recreate nothing",
        ),
        pytest.param(
            "compose-v1",
            {},
            {"start": False, "recreate": False},
            "up --no-start --no-recreate --no-deps --scale app=2 app",
            id="what has ended is not to be started",
        ),
    ],
)
def test_alone(name, needs, more, words):
    call = calls.alone(name, ["app"], needs, {"app": 2}, **{"recreate": True, **more})

    assert " ".join(call.words) == words
    assert call.starts == ("--no-start" not in words)


@pytest.mark.parametrize(
    "containers, once, scaled",
    [
        pytest.param([], True, True, id="absent"),
        pytest.param(there("running", count=2), False, False, id="runs"),
        pytest.param(there("paused"), False, False, id="paused"),
        pytest.param(there("restarting"), False, False, id="restarting"),
        pytest.param(there("running") + there("exited", 137), True, True, id="one of them was killed"),
        pytest.param(there("exited", 0), True, False, id="has done its work"),
        pytest.param(there("created"), True, True, id="never ran"),
    ],
)
def test_idle(containers, once, scaled):
    assert calls.idle({"db": containers}, [], ["cache"]) == ["db"] * once
    assert calls.idle({"db": containers}, ["db"], []) == ["db"] * once
    assert calls.idle({"db": containers}, [], ["db"]) == ["db"] * scaled
    assert calls.idle({"db": containers}, ["db"], ["db"]) == []

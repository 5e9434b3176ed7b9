"""The embedded registry answers as a real Consul does: status, headers, keys in their order, and error texts.

Each scenario is sent to both, request by request.
"""

from __future__ import annotations

import pytest

from tests.consul_server.same_as_consul import agent, catalog, keys_and_sessions
from tests.consul_server.same_as_consul.side_by_side import play, put
from tests.consul_server.same_as_consul.wrong_types import WRONG_TYPES

SCENARIOS = {**agent.SCENARIOS, **catalog.SCENARIOS, **keys_and_sessions.SCENARIOS}


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_answers_like_consul(steps, consul_url, embed):
    expected = play(consul_url, steps)
    # One of its own: lists of everything are compared too.
    seen = play(embed().url, steps)
    for step, theirs, ours in zip(steps, expected, seen):
        assert ours == theirs, step


@pytest.mark.parametrize("path", WRONG_TYPES)
def test_refuses_the_types_that_consul_refuses(path, consul_url, embed):
    steps = [put(path, body) for body in WRONG_TYPES[path]]
    theirs, ours = play(consul_url, steps), play(embed().url, steps)
    different = [
        (step.body[:80], their["status"], our["status"])
        for step, their, our in zip(steps, theirs, ours)
        if their["status"] != our["status"]
    ]
    assert different == []
    assert {their["status"] for their in theirs} == {400}


@pytest.mark.parametrize(
    "meta", [{"a.b": "x"}, {"": "x"}, {"k": "x" * 513}, {f"k{number}": "x" for number in range(65)}], ids=len
)
def test_takes_metadata_that_consul_refuses(meta, consul_url, embed):
    steps = [put("agent/service/register", {"Name": "diff-meta", "Meta": meta})]
    assert [play(url, steps)[0]["status"] for url in (consul_url, embed().url)] == [400, 200]

"""SIGTERM, and SIGKILL with and without it, at each call of a deploy on a Swarm: what is said is so, and the next one
converges. Real signals, at some moments, are in tests/system/deployment."""

from __future__ import annotations

import copy

import pytest

from jenkins_proxy.errors import Stopped
from tests.deployment.deploy.stack_world import Cluster, Killed, Moments

UNCHANGED = "nothing was changed"
FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"
BACK = "rolled back"
DONE = "all was done by then: 2 instance(s) serve"
FIRST = "rolled back: nothing had served before, and what was started is removed"


@pytest.fixture(params=[False, True], ids=["the first deploy", "a later deploy"])
def begun(request, verified):
    """``begun()`` is a stack before its first deploy, or before one of version 2, where version 1 serves."""
    cluster = Cluster()
    if request.param:
        assert cluster.deploy()[0].error is None
        cluster.version = 2
    return lambda: copy.deepcopy(cluster)


@pytest.fixture
def calls(begun) -> range:
    """The calls of a deploy from there."""
    moments = Moments()
    assert begun().deploy(moments)[0].error is None
    return range(moments.number + 1)


def struck(cluster: Cluster, moments: Moments, *, hold: bool = False):
    """What became of a deploy: its outcome and its console; None where it was killed."""
    served = cluster.serving()

    def look() -> None:
        assert cluster.serving() or not served, "users meet nobody"

    moments.look = look
    try:
        return cluster.deploy(moments, hold=hold)
    except Killed:
        return None
    finally:
        cluster.settle()
        look()


def check_converges(cluster: Cluster) -> None:
    outcome, console = struck(cluster, Moments())
    assert outcome.error is None, console
    assert cluster.serving() == [f"books:{cluster.version}"]
    assert [task.service for task in cluster.present] == ["app", "app"]
    assert cluster.drained.isdisjoint(task.bindings[0].host_port for task in cluster.present)
    assert [key for key in cluster.keys if ".notes/" not in key] == []


def test_stopped_at_any_call_it_says_what_is_so(begun, calls):
    said = set()
    before = begun().serving()
    for at in calls:
        cluster = begun()
        outcome, console = struck(cluster, Moments(Stopped("SIGTERM"), at=at))
        assert isinstance(outcome.error, Stopped), f"{at}: {console}"
        text = outcome.text.partition(" to 2 container(s)")[0]
        said.add(text)
        so = cluster.serving(), {task.service for task in cluster.present}
        if text in (FORWARD, DONE):
            assert so[0] == [f"books:{cluster.version}"], f"{at}: {console}"
        elif before:
            assert text in (UNCHANGED, BACK), f"{at}: {outcome.text}"
            assert so == (before, {"app"}), f"{at}: {console}"
            assert text == UNCHANGED or ", proven by 10.0.0.1:" in outcome.text
        else:
            assert text in (UNCHANGED, FIRST), f"{at}: {outcome.text}"
            assert so == ([], set()), f"{at}: {console}"
        check_converges(cluster)
    assert said == {UNCHANGED, FORWARD, DONE, BACK if before else FIRST}


def test_stopped_at_any_call_of_a_deploy_that_holds_nothing_stays_held(begun):
    """Nobody is left who would promote or abort it."""
    moments = Moments()
    assert begun().deploy(moments, hold=True)[0].candidate is not None
    for at in range(moments.number + 1):
        cluster = begun()
        before = cluster.serving()
        outcome, console = struck(cluster, Moments(Stopped("SIGTERM"), at=at), hold=True)
        assert isinstance(outcome.error, Stopped), f"{at}: {console}"
        assert (outcome.candidate, cluster.serving()) == (None, before), f"{at}: {outcome.text}"
        check_converges(cluster)


@pytest.mark.parametrize("after", [0, 5])
def test_killed_at_any_call_or_soon_after_it_was_told_to_stop_the_next_one_converges(begun, calls, after):
    """Jenkins ends an aborted build by SIGTERM, and what has not ended in time by SIGKILL."""
    for at in calls:
        cluster = begun()
        struck(cluster, Moments(Stopped("SIGTERM") if after else None, at=at, kill=at + after))
        check_converges(cluster)

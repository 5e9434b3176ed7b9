"""What the compose file says of batches and patience: a table of files and options to what a deploy goes by."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment import compose_defaults
from jenkins_proxy.deployment.context import Check, DeployOptions
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.parse import parse

ONE_BY_ONE = {"parallelism": 1, "delay": "10s"}


def complete(update: dict | None = None, health: dict | None = None, *, running: int = 3, swarm: bool = False, **more):
    service = {"ports": ["8080"], "deploy": {"update_config": update}, "healthcheck": health}
    target = parse("books", {"services": {"app": service}}).services["app"]
    more["given"] = frozenset(more.get("given", ()))
    options = DeployOptions("books-ms", "books", **more)
    return compose_defaults.complete(options, target, running=running, swarm=swarm, timeout=120.0)


@pytest.mark.parametrize(
    ("update", "more", "batch", "delay", "words"),
    [
        (None, {}, 0, 0, ""),
        ({"parallelism": 2}, {}, 2, 0, "--batch 2 (deploy.update_config.parallelism)"),
        ({"parallelism": 0}, {}, 0, 0, ""),
        ({"parallelism": 0, "delay": "10s"}, {}, 0, 0, ""),
        (ONE_BY_ONE, {}, 1, 10, "--batch-delay 10 (deploy.update_config.delay)"),
        ({"delay": "1m30s"}, {}, 1, 90, "--batch 1 (deploy.update_config.delay), --batch-delay 90"),
        ({"parallelism": 2}, {"batch": 1, "given": ["batch"]}, 1, 0, ""),
        ({"parallelism": 2}, {"batch": 0, "given": ["batch"]}, 0, 0, ""),
        (ONE_BY_ONE, {"batch_delay": 1.0, "given": ["batch_delay"]}, 1, 1, "--batch 1"),
        (ONE_BY_ONE, {"batch_delay": 0.0, "given": ["batch_delay"]}, 1, 0, "--batch 1"),
        # Nothing is replaced by a first deploy, nor at a time by these.
        (ONE_BY_ONE, {"running": 0}, 0, 0, ""),
        (ONE_BY_ONE, {"strategy": "blue-green"}, 0, 0, ""),
        (ONE_BY_ONE, {"strategy": "recreate"}, 0, 0, ""),
        (ONE_BY_ONE, {"hold": True}, 0, 0, ""),
        # A Swarm does it by itself.
        (ONE_BY_ONE, {"swarm": True}, 0, 0, "--timeout"),
    ],
)
def test_how_many_at_a_time(update, more, batch, delay, words):
    found = complete(update, **more)

    assert (found.options.batch, found.options.batch_delay) == (batch, delay)
    assert words in found.words
    assert bool(words) == bool(found.words)


@pytest.mark.parametrize(
    ("order", "more", "strategy"),
    [
        ("start-first", {}, "auto"),
        ("stop-first", {}, "recreate"),
        ("stop-first", {"strategy": "rolling"}, "rolling"),
        ("stop-first", {"strategy": "blue-green"}, "blue-green"),
        ("stop-first", {"batch": 1, "given": ["batch"]}, "auto"),
        ("stop-first", {"hold": True}, "auto"),
        ("stop-first", {"running": 0}, "auto"),
        ("stop-first", {"swarm": True}, "auto"),
    ],
)
def test_what_stops_first(order, more, strategy):
    found = complete({"order": order, "parallelism": 1}, **more)

    assert found.options.strategy == strategy
    said = "--strategy recreate (deploy.update_config.order stop-first)" in found.words
    assert said is (strategy == "recreate")
    assert found.options.strategy_reason == ("deploy.update_config.order is stop-first" if said else "asked for")


@pytest.mark.parametrize(
    ("update", "health", "more", "check", "seconds"),
    [
        (None, {"start_period": "1m30s"}, {}, 90, 90),
        (None, {"start_period": "10s"}, {}, 30, 10),
        (None, {"start_period": "1m30s"}, {"check": Check(timeout=5), "given": ["check_timeout"]}, 5, 90),
        (None, {"start_period": "1m30s"}, {"given": ["timeout"]}, 90, 0),
        (None, {"start_period": "90s", "disable": True}, {}, 30, 0),
        (None, {"start_period": "90s", "test": ["NONE"]}, {}, 30, 0),
        # Three batches, and two pauses between them.
        (ONE_BY_ONE, {"start_period": "1m0s"}, {}, 60, 200),
        (ONE_BY_ONE, {"start_period": "1m0s"}, {"scale": 2}, 60, 130),
        ({"parallelism": 2}, {"start_period": "1m0s"}, {}, 60, 120),
        # The standby, and then one task after the other.
        (ONE_BY_ONE, {"start_period": "1m0s"}, {"swarm": True}, 60, 260),
        (None, {"start_period": "1m0s"}, {"swarm": True, "running": 0}, 60, 60),
        (ONE_BY_ONE, {"start_period": "1m0s"}, {"strategy": "blue-green"}, 60, 60),
    ],
)
def test_how_long_a_start_may_take(update, health, more, check, seconds):
    found = complete(update, health, **more)

    assert (found.options.check.timeout, found.seconds) == (check, seconds)
    assert (f"--timeout {120 + seconds:g}" in found.words) is bool(seconds)
    assert ("(healthcheck.start_period)" in found.words) is (check > 30)


@pytest.mark.parametrize(
    ("update", "health", "said"),
    [
        ({"delay": "-10s"}, None, "deploy.update_config.delay of -10 s is not allowed: it must be from 0 to 999999 s"),
        ({"delay": "2000000h"}, None, "deploy.update_config.delay of 7.2e+09 s is not allowed"),
        (
            {"parallelism": -1},
            None,
            "deploy.update_config.parallelism of -1 is not allowed: it must be from 0 to 999999",
        ),
        ({"parallelism": 10**9}, None, "deploy.update_config.parallelism of 1e+09 is not allowed"),
        (None, {"start_period": "-1ms"}, "healthcheck.start_period of -0.001 s is not allowed"),
        (None, {"start_period": "2562047h"}, "healthcheck.start_period of 9.22337e+09 s is not allowed"),
    ],
)
def test_a_time_or_a_number_that_no_deploy_can_take(update, health, said):
    with pytest.raises(UsageError) as refused:
        complete(update, health)
    assert refused.value.message.startswith(f"service app: {said}")


@pytest.mark.parametrize(("action", "said"), [("rollback", False), ("pause", True), ("continue", True), (None, False)])
def test_what_fails_is_reverted_whatever_the_file_says(action, said):
    words = complete({"failure_action": action} if action else None).words

    assert ("a deploy that fails is reverted" in words) is said

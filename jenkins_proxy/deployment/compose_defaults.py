"""What a compose file says of how its containers are replaced: defaults of a deploy's options. Pure.

``deploy.update_config`` and ``healthcheck.start_period`` are compose's own words for ``--batch``, ``--batch-delay``,
``--strategy`` and the patience of a deploy. What the caller gives wins over them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from jenkins_proxy.deployment.context import AUTO, RECREATE, ROLLING, DeployOptions
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.project import Service

_STOP_FIRST = "stop-first"
_UPDATE = "deploy.update_config"
_REVERTED = "rollback"
# What the options of the same meaning take.
_MOST_SECONDS, _MOST_AT_ONCE = 999_999, 999_999


@dataclass(frozen=True)
class Defaults:
    """A deploy's options with what the compose file says.

    :ivar seconds: what the command gets beyond its usual time limit.
    :ivar words: what comes from the file, and from which key: one line; empty where nothing does.
    """

    options: DeployOptions
    seconds: float = 0.0
    words: str = ""


def complete(options: DeployOptions, target: Service, *, running: int, swarm: bool, timeout: float) -> Defaults:
    """Put in what the file says where the caller says nothing.

    :param options: as they are given.
    :param running: how many of the target's containers run: the first ones replace nothing.
    :param swarm: whether a Swarm replaces the containers: it follows ``deploy.update_config`` by itself.
    :param timeout: the command's usual time limit, in seconds.
    :raises UsageError: for a time or a number that no deploy can take.
    """
    _refuse_absurd(target)
    words: list[str] = []
    if not swarm and running:
        options = _order(_batches(options, target, words), target, words)
    if target.start_period > options.check.timeout and "check_timeout" not in options.given:
        options = dataclasses.replace(options, check=dataclasses.replace(options.check, timeout=target.start_period))
        words.append(f"--check-timeout {target.start_period:g} (healthcheck.start_period)")
    seconds = _more_seconds(options, target, running, swarm=swarm)
    if seconds:
        words.append(f"--timeout {timeout + seconds:g} (it may take {seconds:g} s to start and to pause)")
    action = target.update.failure_action
    if not swarm and action not in ("", _REVERTED):
        words.append(f"{_UPDATE}.failure_action {action} is not followed: a deploy that fails is reverted")
    return Defaults(options, seconds, f"from the compose file: {', '.join(words)}" if words else "")


def _refuse_absurd(target: Service) -> None:
    update = target.update
    for key, value, most in (
        ("healthcheck.start_period", target.start_period, _MOST_SECONDS),
        (f"{_UPDATE}.delay", update.delay or 0.0, _MOST_SECONDS),
        (f"{_UPDATE}.parallelism", update.parallelism or 0, _MOST_AT_ONCE),
    ):
        if not 0 <= value <= most:
            unit = "" if isinstance(value, int) else " s"
            raise UsageError(
                f"service {target.name}: {key} of {value:g}{unit} is not allowed: it must be from 0 to {most}{unit}"
            )


def _batches(options: DeployOptions, target: Service, words: list[str]) -> DeployOptions:
    """How many at a time, and the pause between two batches."""
    update = target.update
    # Only these two replace some at a time; candidates that are held are tested together.
    if options.strategy not in (AUTO, ROLLING) or options.hold:
        return options
    # Who says only how long to pause means what a Swarm does: one after the other.
    size = 1 if update.parallelism is None and update.delay else update.parallelism
    if size and "batch" not in options.given and not _stops_first(options, target):
        options = dataclasses.replace(options, batch=size)
        words.append(f"--batch {size} ({_UPDATE}.{'delay' if update.parallelism is None else 'parallelism'})")
    if update.delay and options.batch and "batch_delay" not in options.given:
        options = dataclasses.replace(options, batch_delay=update.delay)
        words.append(f"--batch-delay {update.delay:g} ({_UPDATE}.delay)")
    return options


def _order(options: DeployOptions, target: Service, words: list[str]) -> DeployOptions:
    if not _stops_first(options, target):
        return options
    words.append(f"--strategy {RECREATE} ({_UPDATE}.order {_STOP_FIRST})")
    return dataclasses.replace(options, strategy=RECREATE, strategy_reason=f"{_UPDATE}.order is {_STOP_FIRST}")


def _stops_first(options: DeployOptions, target: Service) -> bool:
    """Whether old containers end before new ones start, as the file says and no option speaks against it."""
    both_run = options.strategy != AUTO or options.hold or options.keep_old or "batch" in options.given
    return target.update.order == _STOP_FIRST and not both_run


def _more_seconds(options: DeployOptions, target: Service, running: int, *, swarm: bool) -> float:
    """What starting and pausing may take, in seconds; 0 where the caller says how long all of it may."""
    if "timeout" in options.given:
        return 0.0
    count = options.scale or running or target.replicas or 1
    if swarm and running:
        # The standby starts before, and then what it stands in for.
        at_once = 1 if target.update.parallelism is None else target.update.parallelism or count
        rounds = math.ceil(count / at_once)
        return (rounds + 1) * target.start_period + (rounds - 1) * (target.update.delay or 0.0)
    batch = options.batch if options.strategy in (AUTO, ROLLING) else 0
    rounds = math.ceil(count / batch) if batch else 1
    return rounds * target.start_period + (rounds - 1) * options.batch_delay

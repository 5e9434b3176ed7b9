"""A deploy that is killed, told to stop or paused at any moment: users notice nothing, and the next one ends in order.

The moments are random, by a seed that MOMENTS_SEED gives and a failing test names. MOMENTS is how many there are of
each kind of deploy and signal; without it, a held deploy is paused at a moment that is always the same: those of other
deploys and signals are in test_faults.py and test_deploy.py.
MOMENTS_PAUSE is how many seconds a paused deploy sleeps. tests/benchmarks/run moments takes many moments.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.fixtures.traffic import asking

COUNT = int(os.environ.get("MOMENTS", "0"))
PAUSE = float(os.environ.get("MOMENTS_PAUSE", "3"))
# The moment lies within so many times the seconds that the first deploy took: one that replaces takes longer.
WITHIN = 2.0
FIRST, SECOND = "version 1\n", "version 2\n"
KINDS = ("good", "bad", "held")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
STRUCK = list(itertools.product(KINDS, SIGNALS)) if COUNT else [("held", signal.SIGSTOP)]


@dataclass
class Users:
    """Who ask all the time, and what they got that they must not get."""

    bad: list[str] = field(default_factory=list)
    answered: int = 0


@contextlib.contextmanager
def users(project, allowed: set[str]) -> Iterator[Users]:
    """Users of a service to whom nothing but these whole pages may be answered."""
    found = Users()

    def ask() -> None:
        try:
            status, body = project.get()
            if status != 200 or body not in allowed:
                found.bad.append(f"{time.strftime('%X')} {status} {body[:80]!r}")
            found.answered += 1
        except (OSError, http.client.HTTPException) as error:
            found.bad.append(f"{time.strftime('%X')} {error!r}")

    with asking(ask, ask):
        yield found
    assert found.answered


def left_over(project) -> dict[str, list[str]]:
    """What is there of a service beside its one container: by kind, and only what is."""
    names = [project.name, f"{project.name}-blue", f"{project.name}-green"]
    containers = [name for each in names for name in project.containers("app", each, every=True).values()]
    networks = subprocess.run(
        [project.docker, "network", "ls", "--format", "{{.Name}}", "--filter", f"name={project.name}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = {
        "containers": containers if len(containers) != 1 else [],
        "networks": networks if len(networks) != 1 else [],
    }
    for kind in ("deploys", "holds", "locks"):
        entries = project.machine.registry.kv_list(f"jenkins-proxy/{kind}/{project.name}")
        found[kind] = [entry.key for entry in entries]
    return {kind: rest for kind, rest in found.items() if rest}


class Interrupted:
    """Commands that run one after the other until the moment comes, which strikes whichever runs then."""

    def __init__(self, project, signum: signal.Signals, after: float) -> None:
        self._project, self._signum = project, signum
        self._end = time.monotonic() + after
        self.struck = False

    def run(self, *words: str) -> int:
        """Run one command of ours, unless the moment has been; how it ended."""
        if self.struck:
            return -1
        process = self._project.start(*words)
        reader = threading.Thread(target=process.communicate, daemon=True)
        reader.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, self._end - time.monotonic()))
            return process.returncode
        self.struck = True
        process.send_signal(self._signum)
        if self._signum == signal.SIGSTOP:
            time.sleep(PAUSE)
            process.send_signal(signal.SIGCONT)
        reader.join(180)
        assert process.poll() is not None, "it did not end"
        return process.returncode


def interrupt(project, strategy: str, hold: bool, signum: signal.Signals, after: float) -> bool:
    """Deploy, in one piece or held and promoted, until the moment: whether it struck."""
    moment = Interrupted(project, signum, after)
    route = [*project.route, "--strategy", strategy]
    if hold:
        if moment.run("deploy", *route, "--hold") == 0:
            moment.run("promote", *route)
    else:
        moment.run("deploy", *route)
    return moment.struck


@pytest.mark.parametrize("number", range(COUNT or 1))
@pytest.mark.parametrize(("kind", "signum"), STRUCK, ids=lambda value: getattr(value, "name", value))
def test_at_a_random_moment(project, monkeypatch, kind, signum, number):
    seed = os.environ.get("MOMENTS_SEED") or (secrets.token_hex(4) if COUNT else "0")
    chance = random.Random(f"{seed}-{kind}-{signum.name}-{number}")
    strategy, share = chance.choice(["rolling", "blue-green"]), chance.uniform(0.05, WITHIN)
    monkeypatch.setenv("JENKINS_PROXY_CANDIDATE_KEY", secrets.token_hex(16))
    project.compose(1)
    start = time.monotonic()
    first = project.deploy("--strategy", strategy)
    assert first.code == 0, first.text
    after = share * (time.monotonic() - start)
    moment = f"MOMENTS_SEED={seed}: {strategy}, {signum.name} after {after:.2f} s"
    print(moment)

    # A bad release is met by nobody. A good one may be met once it is promoted, and is never mixed with an error.
    project.compose(2, "answers 500" if kind == "bad" else "")
    with users(project, {FIRST} if kind == "bad" else {FIRST, SECOND}) as meanwhile:
        struck = interrupt(project, strategy, kind == "held", signum, after)
        # Whoever was left behind would be met now.
        time.sleep(1)
    assert meanwhile.bad == [], moment

    project.compose(2)
    with users(project, {FIRST, SECOND}) as afterwards:
        if kind == "held":
            aborted = project.run("abort")
            assert aborted.code == 0, f"{moment}: {aborted.text}"
        done = project.deploy("--strategy", strategy)
    assert done.code == 0, f"{moment}: {done.text}"
    assert afterwards.bad == [], moment
    assert project.get() == (200, SECOND), moment
    assert left_over(project) == {}, f"{moment}, struck: {struck}"

"""Bad and slow releases under load: what users lose, and what reaches a release before it is proven. The goal is 0.

A row is one kind of release, deployed again and again in one way. Nothing in it has a check, neither the image nor the
registry: what keeps users away from it is the deploy alone.
"""

from __future__ import annotations

import collections
import fnmatch
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import requests
import service
import world
from load import Count, Load
from service import SERVICE_PATH, Bench

# Requests a second, of sixteen users.
RATE = 600
HEADER = "X-Jenkins-Proxy-Candidate"
FAILED = (3, 5, 6)


@dataclass(frozen=True)
class Kind:
    """One kind of release.

    :ivar release: what the image is told to be. :ivar codes: how its deploy has to end. :ivar count: of its instances.
    """

    name: str
    text: str
    release: str
    codes: tuple[int, ...]
    count: int = 2


KINDS = (
    Kind("bad-500", "answers 500", "bad-500", FAILED),
    Kind("bad-get", "OPTIONS 200, but GET 500", "get-500", FAILED),
    Kind("closes", "accepts and closes", "closes", FAILED),
    Kind("ready-1s", "listens at once, ready 1 s later", "ready-1s", (0,)),
    Kind("listens-15s", "listens after 15 s", "listens-15s", (0,)),
    Kind("one-of-three", "one bad of three", "one-bad-of-three", FAILED, count=3),
    Kind("exits", "exits at once", "exits", FAILED),
    Kind("test-block", "its tests fail, aborted", "logged", (0,)),
)
# Options of the deploy, by way. A stack has a stage of its own.
WAYS = {"rolling": ["--strategy", "rolling"], "blue-green": ["--strategy", "blue-green"], "stack": []}
NAMES = tuple(f"{kind.name}-{way}" for way in WAYS for kind in KINDS)


@dataclass
class Row:
    """What came of one.

    :ivar seen: requests that its instances wrote down, by sender. :ivar wrong: deploys that ended as they must not.
    """

    name: str
    deploys: int
    seconds: list[float] = field(default_factory=list)
    seen: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    count: Count = field(default_factory=Count)

    @property
    def good(self) -> bool:
        return not (self.count.failed or self.seen["user"] or self.wrong)


def chosen(patterns: Iterable[str]) -> list[str]:
    """The names of the rows that match any of the patterns, in the order in which they are played."""
    patterns = list(patterns)
    unknown = [text for text in patterns if not fnmatch.filter(NAMES, text)]
    if unknown:
        raise SystemExit(f"no row {', '.join(unknown)}; there are {' '.join(NAMES)}")
    return [name for name in NAMES if any(fnmatch.fnmatch(name, text) for text in patterns)]


def play(names: Sequence[str], deploys: int) -> list[Row]:
    """Play these rows, those of compose on one stage and those of the stack on another."""
    stacks = [name for name in names if name.endswith("-stack")]
    composes = [name for name in names if name not in stacks]
    rows = []
    for stage, part in ((service.stage, composes), (service.stack_stage, stacks)):
        if part:
            with stage() as (bench, daemon), Load(daemon.entry, SERVICE_PATH, rate=RATE) as load:
                rows += _on_stage(bench, daemon, load, part, deploys)
    return rows


def _on_stage(bench: Bench, daemon: world.Daemon, load: Load, names: list[str], deploys: int) -> list[Row]:
    rows = []
    for name in names:
        kind = next(kind for kind in KINDS if name.startswith(kind.name + "-"))
        way = WAYS[name.removeprefix(kind.name + "-")]
        if kind.count != 2:
            bench.scale_to(kind.count)
        row = Row(name, deploys)
        load.phase(name)
        start = time.monotonic()
        for _ in range(deploys):
            _deploy(bench, daemon, kind, way, row)
        load.phase("between")
        sofar = load.counts().get(name, Count())
        print(
            f"  {deploys} x {name}: {time.monotonic() - start:.0f} s, {sofar.failed} of {sofar.sent} lost, "
            f"{row.seen['user']} met by users",
            file=sys.stderr,
            flush=True,
        )
        for problem in row.wrong:
            print(f"    {problem}", file=sys.stderr, flush=True)
        if row.wrong:
            # What this row left behind is not the next one's.
            bench.deploy()
        if kind.count != 2:
            bench.scale_to(2)
        rows.append(row)
    counts = load.stop()
    for row in rows:
        row.count = counts.get(row.name, Count())
    return rows


def _deploy(bench: Bench, daemon: world.Daemon, kind: Kind, way: list[str], row: Row) -> None:
    """One deploy of the row, and whether users are then served by the release that they should be."""
    before = _versions(daemon)
    start = time.monotonic()
    if kind.name == "test-block":
        done = _held_and_aborted(bench, daemon, way, kind.release)
    else:
        done = bench.try_deploy(*way, RELEASE=kind.release)
    row.seconds.append(time.monotonic() - start)
    row.seen += bench.seen(bench.version)
    if done.returncode not in kind.codes:
        row.wrong.append(f"ended with {done.returncode}: {done.stderr[-600:]}")
    taken_in = done.returncode == 0 and kind.name != "test-block"
    expected, served = {str(bench.version)} if taken_in else before, _versions(daemon)
    if served != expected:
        row.wrong.append(f"users are served by release {sorted(served)}, not {sorted(expected)}")


def _held_and_aborted(
    bench: Bench, daemon: world.Daemon, way: list[str], release: str
) -> subprocess.CompletedProcess[str]:
    """What a pipeline does whose tests fail: hold, ask the candidates, abort."""
    key = {"JENKINS_PROXY_CANDIDATE_KEY": secrets.token_hex(16)}
    held = bench.try_deploy(*way, "--hold", "--json", RELEASE=release, **key)
    if held.returncode:
        return held
    candidate = json.loads(held.stdout)["candidate"]
    for _ in range(20):
        headers = {candidate.get("header_name", HEADER): key["JENKINS_PROXY_CANDIDATE_KEY"]}
        answer = requests.get(f"http://127.0.0.1:{daemon.entry}{SERVICE_PATH}", headers=headers, timeout=10)
        if f'"version": "{bench.version}"' not in answer.text:
            held.returncode, held.stderr = -1, f"the key led to {answer.status_code} {answer.text}"
            return held
    return bench.command("abort", RELEASE=release)


def _versions(daemon: world.Daemon) -> set[str]:
    """The releases that answer a user's next requests; what is not an answer of a release is its status."""
    found = set()
    # Of three instances one may have another release: thirty answers hardly miss it.
    for _ in range(30):
        answer = requests.get(f"http://127.0.0.1:{daemon.entry}{SERVICE_PATH}", timeout=10)
        found.add(answer.json()["version"] if answer.ok else f"status {answer.status_code}")
    return found


def table(rows: Sequence[Row]) -> str:
    """A line a row."""
    lines = [
        f"{'release':34} {'way':10} {'deploys':>7} {'sent':>8} {'lost':>6} {'met by users':>12} {'ended wrong':>11}"
    ]
    for row in rows:
        kind = next(kind for kind in KINDS if row.name.startswith(kind.name + "-"))
        way = row.name.removeprefix(kind.name + "-")
        why = ", ".join(f"{number} x {reason}" for reason, number in row.count.lost.most_common())
        lines.append(
            f"{kind.text:34} {way:10} {row.deploys:>7} {row.count.sent:>8} {row.count.failed:>6} "
            f"{row.seen['user']:>12} {len(row.wrong):>11}  {why}".rstrip()
        )
    return "\n".join(lines)

"""A deploy that is paused at a random moment while another one comes and goes, and is woken then. None may end wrong.

It may end well only if its release is the one that serves; else it has to end with 4, as it lost its lock. What runs
afterwards is one version in every case, and users lose nothing.

python paused.py [--moments 30] [--seed N]
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import signal
import subprocess
import sys
import time

import requests
from load import Load
from service import SERVICE_PATH, Bench, docker, stage

# Longer than a lock lives without its holder.
PAUSE = 21.0
_LOST = 4


def versions(bench: Bench) -> set[str]:
    """The versions of the containers that run."""
    labels = ("inspect", "--format", '{{index .Config.Labels "bench.version"}}', *bench.containers())
    return set(docker(*labels).split())


def start(bench: Bench) -> subprocess.Popen[str]:
    bench.version += 1
    argv = bench.argv("deploy", "--strategy", "rolling", "--lock-timeout", "60")
    return subprocess.Popen(argv, env=bench.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def play(bench: Bench, after: float) -> tuple[str, str]:
    """Pause a deploy so many seconds after its start, run another one, wake it.

    :return: how it went in a word, and what was wrong with that; empty when nothing was.
    """
    paused = start(bench)
    mine = bench.version
    try:
        said = paused.communicate(timeout=after)[1]
    except subprocess.TimeoutExpired:
        paused.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE)
        other = start(bench)
        others_text = other.communicate()[1]
        paused.send_signal(signal.SIGCONT)
        said = paused.communicate()[1]
        if other.returncode:
            return "the other failed", f"the other one ended with {other.returncode}:\n{others_text}"
        serving = bench.version if paused.returncode else mine
    else:
        serving = mine
    how = {0: "ended well", _LOST: "ended with 4"}.get(paused.returncode, "ended otherwise")
    found = versions(bench)
    answered = {json.loads(requests.get(_url(bench), timeout=10).text)["version"] for _ in range(8)}
    if how == "ended otherwise" or not found == answered == {str(serving)}:
        return how, f"exit {paused.returncode}, running {found}, answering {answered}, expected {serving}:\n{said}"
    return how, ""


def _url(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.daemon.entry}{SERVICE_PATH}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print(f"{args.moments} moments, seed {args.seed}", flush=True)
    wrong = []
    ends: collections.Counter[str] = collections.Counter()
    with stage() as (bench, daemon), Load(daemon.entry, SERVICE_PATH, rate=200) as load:
        begin = time.monotonic()
        bench.rolling()
        seconds = time.monotonic() - begin
        for _ in range(args.moments):
            after = rng.uniform(0.1, seconds)
            how, problem = play(bench, after)
            ends[how] += 1
            print(f"  after {after:.1f} s: {how}{', WRONG' if problem else ''}", file=sys.stderr, flush=True)
            if problem:
                wrong.append(f"after {after:.1f} s: {problem}")
                bench.rolling()
        counts = load.stop()
    lost = sum(count.failed for count in counts.values())
    print("; ".join(f"{count} {how}" for how, count in ends.items()))
    print(f"wrong: {len(wrong)} (goal 0); lost: {lost} of {sum(count.sent for count in counts.values())} (goal 0)")
    print("\n".join(wrong), flush=True)
    return 1 if wrong or lost else 0


if __name__ == "__main__":
    sys.exit(main())

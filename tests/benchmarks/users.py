"""Whether a deploy counts its users right: its own figures beside those of whoever sent the requests.

All of the load lies within the time in which the deploy counts: users come once the service is held, the release is
promoted among them, and they are gone before the old instances are. Every release answers one path with 500.

python users.py [--deploys 20]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass

from load import Count, Load
from service import SERVICE_PATH, Bench, stage

# Requests a second. Its servers start a process for each.
RATE = 190
RATE_OF_FAILURES = 10
# What the old instances take to stop, in which the load ends and the deploy does not.
ENVIRONMENT = {"RELEASE": "fails-some", "STOP_SECONDS": "3"}
FAILING_PATH = f"{SERVICE_PATH}/fail"


@dataclass(frozen=True)
class Pair:
    """What both say of one deploy."""

    deploy: tuple[int, int]
    load: tuple[int, int]

    def __str__(self) -> str:
        ours, theirs = (f"{sent} requests, {failed} failed" for sent, failed in (self.deploy, self.load))
        return f"{'same ' if self.deploy == self.load else 'OTHER'} deploy: {ours:32} load: {theirs}"


def compare(bench: Bench, port: int, strategy: str) -> Pair:
    """One deploy, with users from its hold to its drain."""
    bench.version += 1
    argv = bench.argv("deploy", "--strategy", strategy, "--json")
    environment = bench.environment(**ENVIRONMENT)
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said = _until(process, "* hold ") + process.stderr.readline()
        with Load(port, SERVICE_PATH, rate=RATE) as load, Load(port, FAILING_PATH, 2, RATE_OF_FAILURES) as failing:
            said += _until(process, "* draining")
            counts = [*load.stop().values(), *failing.stop().values()]
        if process.poll() is not None:
            raise SystemExit(f"the deploy ended before the load: {said}")
        report, rest = process.communicate()
    if process.returncode:
        raise SystemExit(f"the deploy ended with {process.returncode}: {said}{rest}")
    users = json.loads(report)["users"]
    return Pair((users["requests"], users["failed"]), _sum(counts))


def _until(process: subprocess.Popen, word: str) -> str:
    """What the deploy says up to the line with this word, or to its end."""
    said = ""
    for line in process.stderr:
        said += line
        if word in line:
            break
    return said


def _sum(counts: list[Count]) -> tuple[int, int]:
    return sum(count.sent for count in counts), sum(count.failed for count in counts)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deploys", type=int, default=20)
    args = parser.parse_args()
    pairs = []
    with stage() as (bench, daemon):
        bench.deploy(**ENVIRONMENT)
        for number in range(args.deploys):
            pairs.append(compare(bench, daemon.entry, ("rolling", "blue-green")[number % 2]))
            print(f"  {pairs[-1]}", flush=True)
    same = sum(pair.deploy == pair.load for pair in pairs)
    print(f"users as the deploy counts them, the same as the load's: {same} of {len(pairs)} (goal: all)\n", flush=True)
    return 0 if same == len(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())

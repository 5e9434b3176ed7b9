"""Whether a deploy counts its users right: its own figures beside those of whoever sent the requests.

All of the load lies within the time in which the deploy counts: it is held, users come, it is promoted among them, and
they are gone before it ends. One in twenty requests is answered 500 by every release.

python users.py [--deploys 20]
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass

from load import Count, Load
from service import SERVICE_PATH, Bench, stage

# Requests a second. Its servers start a process for each.
RATE = 190
RATE_OF_FAILURES = 10
SECONDS_BEFORE = 2.0
# What the old instances take to stop, in which the load ends and the deploy does not.
STOP_SECONDS = "3"


@dataclass(frozen=True)
class Pair:
    """What both say of one deploy."""

    deploy: tuple[int, int]
    load: tuple[int, int]

    def __str__(self) -> str:
        ours, theirs = (f"{sent} requests, {failed} failed" for sent, failed in (self.deploy, self.load))
        return f"{'same ' if self.deploy == self.load else 'OTHER'} deploy: {ours:32} load: {theirs}"


def compare(bench: Bench, port: int, strategy: str) -> Pair:
    """One deploy with users from its hold to its drain."""
    environment = {
        "JENKINS_PROXY_CANDIDATE_KEY": secrets.token_hex(16),
        "RELEASE": "fails-some",
        "STOP_SECONDS": STOP_SECONDS,
    }
    bench.deploy("--strategy", strategy, "--hold", **environment)
    with Load(port, SERVICE_PATH, rate=RATE) as load, Load(port, f"{SERVICE_PATH}/fail", 2, RATE_OF_FAILURES) as bad:
        time.sleep(SECONDS_BEFORE)
        argv = bench.argv("promote", "--json")
        env = bench.environment(**environment)
        with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            said = ""
            for line in process.stderr:
                said += line
                if "drain" in line:
                    break
            counts = [*load.stop().values(), *bad.stop().values()]
            if process.poll() is not None:
                raise SystemExit(f"promote ended before the load: {said}{process.stderr.read()}")
            report, said = process.stdout.read(), said + process.stderr.read()
    if process.returncode:
        raise SystemExit(f"promote ended with {process.returncode}: {said}")
    users = json.loads(report)["users"]
    return Pair((users["requests"], users["failed"]), _sum(counts))


def _sum(counts: list[Count]) -> tuple[int, int]:
    return sum(count.sent for count in counts), sum(count.failed for count in counts)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deploys", type=int, default=20)
    args = parser.parse_args()
    pairs = []
    with stage() as (bench, daemon):
        bench.deploy(RELEASE="fails-some", STOP_SECONDS=STOP_SECONDS)
        for number in range(args.deploys):
            pairs.append(compare(bench, daemon.entry, ("rolling", "blue-green")[number % 2]))
            print(f"  {pairs[-1]}", flush=True)
    same = sum(pair.deploy == pair.load for pair in pairs)
    print(f"users as the deploy counts them, the same as the load's: {same} of {len(pairs)} (goal: all)\n", flush=True)
    return 0 if same == len(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())

"""How long a release that is bad keeps its deploy: from the moment its containers run, or are called unhealthy.

python time_to_fail.py [--samples 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from service import COMPOSE, HEALTHCHECK, NAME, Bench, stage


def fail(bench: Bench, strategy: str, event: str, release: str) -> float:
    """Deploy a bad release: seconds from the last event of this kind to one of its containers to the deploy's end.

    :raises SystemExit: there was no such event.
    """
    kinds = ("--filter", "type=container", "--filter", f"event={event}")
    label = ("--filter", f"label=bench.version={bench.version + 1}", "--filter", f"label=bench.name={NAME}")
    # Followed from the start: the engine remembers the last 256 events, and each run of a health check is three.
    argv = ["docker", "events", *kinds, *label, "--since", f"{time.time():.3f}", "--format", "{{.TimeNano}}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as events:
        try:
            bench.deploy("--strategy", strategy, expect=(3, 5, 6), RELEASE=release)
            end = time.time()
        finally:
            events.terminate()
        times = events.stdout.read().split()
    if not times:
        raise SystemExit(f"Docker reports no {event} of release {bench.version}")
    return end - max(map(int, times)) / 1e9


def show(name: str, seconds: list[float], goal: float) -> bool:
    median, longest = statistics.median(seconds), max(seconds)
    print(f"{name:52} median {median:5.1f} s, longest {longest:5.1f} s (goal <= {goal:.0f} s)", flush=True)
    return longest <= goal


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=5)
    args = parser.parse_args()
    reached = []
    print(f"time to fail, {args.samples} deploys each")
    with stage() as (bench, _):
        for strategy in ("rolling", "blue-green"):
            seconds = [fail(bench, strategy, "start", "bad-500") for _ in range(args.samples)]
            reached.append(show(f"answers 500, {strategy}: containers run -> end", seconds, 10))
        bench.file.write_text(COMPOSE.format(requests=bench.requests, name=NAME) + HEALTHCHECK)
        for strategy in ("rolling", "blue-green"):
            seconds = [fail(bench, strategy, "health_status: unhealthy", "good") for _ in range(args.samples)]
            reached.append(show(f"unhealthy, {strategy}: Docker says so -> end", seconds, 3))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

"""How long a release that is bad keeps its deploy: from the moment its containers run, or are called unhealthy.

python time_to_fail.py [--samples 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from service import COMPOSE, HEALTHCHECK, Bench, docker, stage


def since(event: str, version: int, start: float) -> float:
    """Seconds that have passed since the last event of this kind to a container of a release.

    :param start: when the deploy began, in seconds of Unix time.
    :raises SystemExit: there was none.
    """
    now = time.time()
    shown = docker(
        *("events", "--since", f"{start:.3f}", "--until", f"{now:.3f}", "--format", "{{.TimeNano}}"),
        *("--filter", "type=container", "--filter", f"event={event}", "--filter", f"label=bench.version={version}"),
    )
    if not shown.strip():
        raise SystemExit(f"Docker reports no {event} of release {version}")
    return now - max(int(line) for line in shown.split()) / 1e9


def fail(bench: Bench, strategy: str, event: str, release: str) -> float:
    """Deploy a bad release: seconds from the event to the end of the deploy."""
    start = time.time()
    bench.deploy("--strategy", strategy, expect=(3, 5, 6), RELEASE=release)
    return since(event, bench.version, start)


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
        bench.file.write_text(COMPOSE.format(requests=bench.requests) + HEALTHCHECK)
        for strategy in ("rolling", "blue-green"):
            seconds = [fail(bench, strategy, "health_status: unhealthy", "good") for _ in range(args.samples)]
            reached.append(show(f"unhealthy, {strategy}: Docker says so -> end", seconds, 3))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

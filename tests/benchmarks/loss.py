"""Requests lost while everything that a deploy does is done, again and again, to real containers. The goal is 0.

python loss.py                            1,000,000 requests or more, and 10 deploys of each bad and slow release
python loss.py --short                    100 scale changes and 20 changes of routes, each of which reloads HAProxy,
                                          and 2 deploys of each bad and slow release
python loss.py --rows 'bad-500-*,exits-stack' [--short]   only these of the bad and slow releases
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import rows
from load import Load, table
from service import SERVICE_PATH, stage


def play(load: Load, phases: list[tuple[str, int, Callable[[], None]]]) -> None:
    for name, times, action in phases:
        load.phase(f"{times} x {name}")
        start = time.monotonic()
        for _ in range(times):
            action()
        print(f"  {times} x {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        load.phase("between")


def changes(requests: int, *, short: bool) -> int:
    """Every change to a service that is well: print the table, and return how many requests were lost in vain."""
    with stage() as (bench, daemon), Load(daemon.entry, SERVICE_PATH) as load:
        if short:
            play(load, [("scale change 1..5", 100, bench.scale), ("route change", 20, bench.change_route)])
        else:
            play(
                load,
                [
                    ("scale change 1..5", 100, bench.scale),
                    ("rolling deploy", 20, bench.rolling),
                    ("route change", 20, bench.change_route),
                    ("failed deploy, rolled back", 5, bench.fail),
                    ("kill -9 of 1 instance of 3", 5, bench.kill),
                    ("blue-green switch", 20, bench.blue_green),
                ],
            )
            load.phase("nothing, until the number is reached")
            while load.sent() < requests:
                time.sleep(1)
        counts = load.stop()
    print(table(counts))
    kills = sum(count.failed for name, count in counts.items() if "kill" in name)
    lost = sum(count.failed for count in counts.values()) - kills
    print(f"lost, but for the kills: {lost} (goal 0)\n", flush=True)
    return lost


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rows", default="", help="comma-separated names or patterns, and nothing but them")
    parser.add_argument("--deploys", type=int, default=0, help="a row (default: 10, short 2)")
    args = parser.parse_args()
    names = rows.chosen(args.rows.split(",") if args.rows else ["*"])
    lost = 0 if args.rows else changes(args.requests, short=args.short)
    played = rows.play(names, args.deploys or (2 if args.short else 10))
    print(rows.table(played))
    print(
        f"rows in which nothing is lost: {sum(row.good for row in played)} of {len(played)} (goal: all)\n", flush=True
    )
    return 1 if lost or not all(row.good for row in played) else 0


if __name__ == "__main__":
    sys.exit(main())
